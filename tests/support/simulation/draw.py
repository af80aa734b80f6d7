"""From a seed to a plan. Small plans are as frequent as large ones: most bugs need few calls and few faults."""

from collections.abc import Iterator
from random import Random
from typing import Any

from msgspec.structs import replace

from schemas.policy import Conversation, ConversationFailure, Outcome, SupervisionRights
from simulation.plan import Begins, CallPlan, Effect, Fault, Person, Picks, Plan, Said, Where
from simulation.service import SERVICE

_SPAN_S = 30.0
"""Calls begin and faults happen within this time."""

_LOG_EFFECTS = (
    Effect.REFUSED, Effect.REFUSED, Effect.LOST_ACK, Effect.LOST_ACK, Effect.DELAY, Effect.CRASH_BEFORE,
    Effect.CRASH_BEFORE, Effect.CRASH_AFTER, Effect.CRASH_AFTER, Effect.PAUSE_BEFORE, Effect.PAUSE_AFTER, Effect.TWICE,
)  # fmt: skip
_LOG_PLACES = (
    ("publish", "call.inbox"), ("publish", "call.inbox"), ("publish", "call.inbox"), ("publish", "call.actions"),
    ("publish", "call.events"), ("append", "call.state"), ("append", "call.state"), ("append", "call.ledger"),
    ("append", "call.ledger"),
    ("claim", "call.state"), ("claim", "call.ledger"),
)  # fmt: skip
_REST_EFFECTS = (
    Effect.REFUSED, Effect.DELAY, Effect.CRASH_BEFORE, Effect.CRASH_AFTER, Effect.CRASH_AFTER, Effect.PAUSE_BEFORE,
    Effect.PAUSE_AFTER, Effect.LIMITED, Effect.UNAVAILABLE, Effect.ERROR_AFTER, Effect.ERROR_AFTER, Effect.RESET_AFTER,
    Effect.RESET_AFTER, Effect.TIMEOUT, Effect.TIMEOUT_AFTER,
)  # fmt: skip
_CALLBACK_EFFECTS = (Effect.LOST, Effect.TWICE, Effect.DELAY)
_NODE_EFFECTS = (Effect.KILL, Effect.KILL, Effect.PAUSE, Effect.EVICT, Effect.REJOIN, Effect.DRAIN)
_DISK = ("add", "add", "remove")
_DISK_EFFECTS = (Effect.REFUSED, Effect.DELAY, Effect.CRASH_BEFORE, Effect.CRASH_AFTER)
_TARGETS = 5
_WITH_QUEUES = 0.12
_WITH_SERVICE = 0.12
QUEUE, POOL = "queue:pool", "client:pool"
_TOPICS = (
    "hold", "hold", "mute", "cold", "cold", "warm", "warm", "add", "remove", "announce", "connect",
    "supervise", "record",
)  # fmt: skip


def draw(seed: int) -> Plan:
    """The plan of a seed."""
    rng = Random(f"plan-{seed}")  # noqa: S311 - not for secrets
    calls = tuple(_call(rng, number) for number in range(rng.choice((1, 1, 2, 2, 3, 4, 6))))
    nodes = rng.choice((1, 2, 2, 3))
    away = Random(f"away-{seed}")  # noqa: S311 - of its own: the other plans stay as they were
    partitions = rng.choice((1, 2, 3))
    plan = Plan(
        seed=seed,
        partitions=partitions,
        nodes=nodes,
        split=rng.random() < 0.5,
        calls=calls,
        faults=(
            *(_fault(rng, nodes) for _ in range(_fault_count(rng))),
            *_away(away, partitions),
            *_lost_rooms(seed, len(calls)),
        ),
        fences_alone=rng.random() < 0.5,
        forgets=rng.random() < 0.1,
        policy=_policy(rng),
        parted=away.random() < 0.5,
        spool=away.choice((1000, 1000, 1000, 3)),
    )
    plan = _with_rarities(plan)
    queues = Random(f"queues-{seed}")  # noqa: S311 - of its own: the plans of other seeds stay as they are
    if queues.random() < _WITH_QUEUES:
        return _with_queues(plan, queues)
    service = Random(f"conversations-{seed}")  # noqa: S311 - of its own too
    return _with_service(plan, service) if service.random() < _WITH_SERVICE else plan


def _with_rarities(plan: Plan) -> Plan:
    """The same plan with keys of the policy that few numbers set; in half of all runs none of them."""
    rng = Random(f"rarities-{plan.seed}")  # noqa: S311 - of its own too
    if rng.random() < 0.5:
        return plan
    chances: tuple[dict[str, Any], ...] = (
        {"consult_limit_s": rng.choice((1, 4)), "consult_limit": rng.choice(("alert", "merge", "cancel"))},
        {"machine": rng.choice(("hang_up", "voicemail_message"))},
        {"max_pause_s": rng.choice((1, 3))},
        {"unanswered": "announce"},
        {"hold_reminder_s": 1},
        {"hold_max_s": 3, "hold_max": rng.choice(("requeue", "voicemail"))},
        {"abandoned_consult_s": rng.choice((0, 2))},
        {"max_wait_s": 5, "max_wait": POOL},
        {"supervision": SupervisionRights(follow=True)},
    )
    drawn = {key: value for chance in chances if rng.random() < 0.3 for key, value in chance.items()}
    people = [person.address for call in plan.calls for person in call.people]
    machines = tuple(address for address in people if rng.random() < 0.3)
    return replace(plan, policy={**plan.policy, **drawn}, machines=machines)


def _with_service(plan: Plan, rng: Random) -> Plan:
    """The same plan with a number that leads to a Conversations service, and all that a failure may lead to."""
    outcomes: tuple[Outcome, ...] = ("voicemail", "announce_end", "wait", "wait")
    reasons = ("busy", "no_answer", "failed", "rejected", "cancelled", "no_other_participants", "default")
    failures = ConversationFailure()
    for reason in reasons:
        failures = replace(failures, **{reason: rng.choice(outcomes)})
    item = Conversation(routing_assignment_timeout_s=2, inbound_timeout_s=rng.choice((5, 20)), on_failure=failures)
    if rng.random() < 0.3:
        item = replace(item, record="record-from-answer-dual")
    whisper = {"whisper": "A call"} if rng.random() < 0.3 else {}
    return replace(plan, policy={**plan.policy, **whisper, "route": (f"conversation:{SERVICE}",), "conversation": item})


def _with_queues(plan: Plan, rng: Random) -> Plan:
    """The same plan in a contact centre: agents come from a queue, callers may wait in TaskRouter's own."""
    calls = tuple(replace(call, commands=tuple(_queued(rng, said) for said in call.commands)) for call in plan.calls)
    enqueued: dict[str, Any] = {"route": ("enqueue:pool",)} if rng.random() < 0.5 else {}
    if enqueued and plan.policy.get("max_wait") == POOL:
        enqueued["max_wait"] = "announce_end"  # nobody can be rung for a caller in TaskRouter's queue
    return replace(plan, calls=calls, policy={**plan.policy, **enqueued})


def _queued(rng: Random, said: Said) -> Said:
    if said.name == "call.connect" and rng.random() < 0.7:
        return replace(said, data={"to": QUEUE})
    if said.name == "call.transfer" and rng.random() < 0.5:
        return replace(said, data={**said.data, "targets": [QUEUE, *said.data["targets"][1:]]})
    return said


def _fault_count(rng: Random) -> int:
    return rng.choice((0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 8, 10))


def _policy(rng: Random) -> dict[str, object]:
    policy: dict[str, object] = {"ring_timeout_s": 10}
    if rng.random() < 0.2:
        policy["orphan_grace_s"] = rng.choice((1, 5))
    if rng.random() < 0.15:
        policy["wrap_up_s"] = 5
    if rng.random() < 0.15:
        policy["max_wait_s"] = 15
    if rng.random() < 0.1:
        policy["customer_left"] = "keep_agents"
    if rng.random() < 0.1:
        policy.update(hold_max_s=4, hold_max=rng.choice(("alert", "resume")))
    if rng.random() < 0.15:
        policy["route"] = (POOL,)
    if rng.random() < 0.2:
        policy["orphan"] = rng.choice((("announce_end",), ("voicemail",), ("recall", "requeue", "announce_end")))
    if rng.random() < 0.1:
        policy["recording"] = rng.choice(("from_connected", "from_start"))
    if rng.random() < 0.1:
        policy["max_wait"] = "voicemail"
    return policy


# Calls


def _call(rng: Random, number: int) -> CallPlan:
    begins = rng.choice((Begins.INBOUND, Begins.INBOUND, Begins.INBOUND, Begins.BROWSER, Begins.DIAL))
    people = tuple(_person(rng, address_of(number, place), place) for place in range(_TARGETS))
    return CallPlan(
        number=number,
        begins=begins,
        at_s=round(rng.uniform(0.0, _SPAN_S / 3), 3),
        people=people,
        commands=tuple(_commands(rng, number, begins)),
        talks_s=round(rng.uniform(0.5, _SPAN_S), 3) if rng.random() < 0.5 else 0.0,
    )


def address_of(number: int, place: int) -> str:
    """The Twilio address of the person at `place` among those of a call: agents' browsers, then phones."""
    return f"client:p{number}x{place}" if place in {0, 2, 4} else f"+1555{number:03d}{place:04d}"


def target_of(number: int, place: int) -> str:
    """The same as commands name it."""
    address = address_of(number, place)
    return address if address.startswith("client:") else f"phone:{address}"


def _person(rng: Random, address: str, place: int) -> Person:
    picks = Picks.ANSWERS
    if rng.random() < (0.1 if place == 0 else 0.35):
        picks = rng.choice([picks for picks in Picks if picks is not Picks.ANSWERS])
    talks_s = round(rng.uniform(0.1, 15.0), 3) if rng.random() < 0.3 else 0.0
    return Person(address, picks, round(rng.uniform(0.05, 4.0), 3), talks_s)


def _commands(rng: Random, number: int, begins: Begins) -> list[Said]:
    said: list[Said] = []
    if begins is Begins.INBOUND:
        said.append(_said(rng, "call.connect", _connect(rng, number, 0)))
    for _ in range(rng.choice((0, 1, 2, 3, 4, 6))):
        said.extend(_topic(rng, number))
    if rng.random() < 0.3:
        said.append(_said(rng, "call.end"))
    return said


def _said(rng: Random, name: str, data: dict[str, object] | None = None) -> Said:
    after_s = round(rng.choice((rng.uniform(0.0, 0.3), rng.uniform(0.3, 6.0))), 3)
    deadline_s = round(rng.uniform(0.3, 5.0), 3) if rng.random() < 0.2 else 0.0
    return Said(after_s, name, data or {}, times=1 if rng.random() < 0.9 else rng.choice((2, 3)), deadline_s=deadline_s)


def _topic(rng: Random, number: int) -> list[Said]:
    topic = rng.choice(_TOPICS)
    match topic:
        case "hold":
            return [_said(rng, "call.hold"), _said(rng, "call.resume")][: rng.choice((1, 2))]
        case "mute":
            leg = rng.choice(("agent", "customer"))
            return [_said(rng, "call.mute", {"leg": leg}), _said(rng, "call.unmute", {"leg": leg})]
        case "cold":
            return [_said(rng, "call.transfer", _transfer(rng, number, "cold")), *_steering(rng, ("transfer.cancel",))]
        case "warm":
            mode = rng.choice(("warm", "warm", "consult"))
            steps = ("transfer.swap", "transfer.merge", "transfer.complete", "transfer.complete", "transfer.cancel")
            return [_said(rng, "call.transfer", _transfer(rng, number, mode)), *_steering(rng, steps)]
        case "supervise":
            return _supervision(rng, number)
        case "record":
            names = ("recording.start", "recording.pause", "recording.resume", "recording.stop")
            return [_said(rng, name) for name in names[: rng.choice((1, 2, 3, 4))]]
        case _:
            return [_said(rng, f"call.{topic}", _alone(rng, number, topic))]


def _alone(rng: Random, number: int, topic: str) -> dict[str, object]:
    """The data of a command that stands alone."""
    match topic:
        case "add":
            return {"to": target_of(number, 3)}
        case "remove":
            return {"leg": rng.choice(("agent", "third", "agent-1"))}
        case "announce":
            return {"say": "Good day"}
        case _:
            return _connect(rng, number, rng.choice((0, 1, 4)))


def _supervision(rng: Random, number: int) -> list[Said]:
    modes = ("monitor", "coach", "barge")
    data: dict[str, object] = {"mode": rng.choice(modes), "supervisor": target_of(number, 4)}
    said = [_said(rng, "call.supervise", data)]
    for mode in rng.sample(modes, k=rng.choice((0, 1, 2))):
        said += [_said(rng, "supervision.switch", {"supervisor": "supervisor", "mode": mode})]
    if rng.random() < 0.4:
        steps = ("supervision.leave", "supervision.takeover")
        said.append(_said(rng, rng.choice(steps), {"supervisor": "supervisor"}))
    return said


def _connect(rng: Random, number: int, place: int) -> dict[str, object]:
    """A whisper makes it a call of its own, without a label that Twilio would not give twice."""
    data: dict[str, object] = {"to": target_of(number, place if rng.random() < 0.6 else 1)}
    return {**data, "whisper": {"say": "A call"}} if rng.random() < 0.5 else data


def _transfer(rng: Random, number: int, mode: str) -> dict[str, object]:
    places = rng.sample((1, 2, 3), k=rng.choice((1, 1, 2)))
    data: dict[str, object] = {"mode": mode, "targets": [target_of(number, place) for place in places]}
    data["ring_timeout_s"] = rng.choice((5, 10))
    if rng.random() < 0.5:
        data["release"] = rng.choice(("now", "on_ring", "on_answer"))
    if rng.random() < 0.4:
        data["on_failure"] = {"default": rng.choice(("return", "recall", "requeue", "voicemail", "announce_end"))}
    return data


def _steering(rng: Random, names: tuple[str, ...]) -> list[Said]:
    return [_said(rng, rng.choice(names)) for _ in range(rng.choice((0, 1, 1, 2)))]


# Faults


def _fault(rng: Random, nodes: int) -> Fault:
    kind = rng.choice((Where.LOG, Where.LOG, Where.REST, Where.REST, Where.CALLBACK, Where.NODE))
    seconds = round(rng.choice((rng.uniform(0.1, 2.0), rng.uniform(2.0, 14.0))), 3)
    match kind:
        case Where.LOG:
            on, topic = rng.choice(_LOG_PLACES)
            return Fault(kind, rng.choice(_LOG_EFFECTS), _nth(rng), seconds=seconds, on=on, topic=topic)
        case Where.REST:
            return Fault(kind, rng.choice(_REST_EFFECTS), _nth(rng), seconds=seconds)
        case Where.CALLBACK:
            return Fault(kind, rng.choice(_CALLBACK_EFFECTS), _nth(rng), seconds=seconds)
        case _:
            at_s = round(rng.uniform(0.0, _SPAN_S), 3)
            effect = rng.choice(_NODE_EFFECTS)
            return Fault(Where.NODE, effect, at_s=at_s, seconds=seconds, node=rng.randrange(max(nodes * 3, 1)))


def _away(rng: Random, partitions: int) -> Iterator[Fault]:
    """In every third run the log takes nothing for a while, and something may happen to the spools meanwhile."""
    if rng.random() < 0.65:
        return
    for _ in range(rng.choice((1, 1, 2))):
        at_s, seconds = round(rng.uniform(0.0, _SPAN_S), 3), round(rng.uniform(0.5, 14.0), 3)
        where = -1 if rng.random() < 0.5 else rng.randrange(partitions)
        yield Fault(Where.AWAY, Effect.AWAY, at_s=at_s, seconds=seconds, node=where)
        if rng.random() < 0.3:
            kill_s = round(at_s + rng.uniform(0.0, seconds), 3)
            yield Fault(Where.NODE, Effect.KILL, at_s=kill_s, seconds=rng.uniform(0.1, 3.0), node=rng.randrange(9))
    for _ in range(rng.choice((0, 0, 1, 2))):
        nth = 1 + int(rng.expovariate(1 / 3))
        yield Fault(Where.DISK, rng.choice(_DISK_EFFECTS), nth, seconds=rng.uniform(0.1, 2.0), on=rng.choice(_DISK))


def _lost_rooms(seed: int, calls: int) -> list[Fault]:
    """Conferences that end by themselves, in one run in six. Drawn apart: they came later than the other faults."""
    rng = Random(f"rooms-{seed}")  # noqa: S311 - not for secrets
    count = rng.choice((0, 0, 0, 0, 0, rng.choice((1, 1, 2, 5))))
    return [
        Fault(Where.ROOM, Effect.ENDS, at_s=round(rng.uniform(0.5, _SPAN_S), 3), node=rng.randrange(calls))
        for _ in range(count)
    ]


def _nth(rng: Random) -> int:
    return 1 + int(rng.expovariate(1 / 8))
