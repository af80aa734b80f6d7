"""What holds whatever happens, in whatever order, however often."""

from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from calling import AGENT, OTHER, Story, connected
from engine.core.effects import Ignore, Reply, RequestAction
from engine.core.turn import TALKING_ROLES
from schemas.actions import CreateParticipant, CreateTask
from schemas.policy import Policy, SupervisionRights
from schemas.records import ActionOutcome, ActionReport, Inbox, ParticipantSeen, Webhook
from schemas.state import LIVE_LEG_STATES, CallState, LegState, Role
from schemas.webhooks import Source
from supervising import LEAD, supervised, with_second_agent

Happening = Callable[[Story], Any]
LEGS = ("customer-1", "agent-1", "agent-2", "target-1", "target-2", "third-1", "supervisor-1", "supervisor-2",
        "ai-1")  # fmt: skip
STATUSES = ("initiated", "ringing", "in-progress", "completed", "busy", "no-answer", "failed", "canceled")
SWITCHES = (("hold", "Hold"), ("mute", "Muted"), ("modify", "EndConferenceOnExit"))
COMMANDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("call.connect", {"to": AGENT}),
    ("call.hold", {}),
    ("call.resume", {}),
    ("call.mute", {"leg": "agent-1"}),
    ("call.add", {"to": OTHER}),
    ("call.remove", {"leg": "agent-1"}),
    ("call.transfer", {"mode": "cold", "targets": [OTHER, "phone:+15550100077"]}),
    ("call.transfer", {"mode": "cold", "targets": [OTHER], "release": "now", "on_failure": {"default": "recall"}}),
    ("call.transfer", {"mode": "cold", "targets": [OTHER], "release": "on_ring"}),
    ("call.transfer", {"mode": "warm", "targets": [OTHER, "queue:support"]}),
    ("call.transfer", {"mode": "consult", "targets": [OTHER], "consult_limit_s": 20}),
    ("call.transfer", {"mode": "cold", "targets": ["queue:support"], "on_failure": {"default": "requeue"}}),
    ("transfer.cancel", {}),
    ("transfer.complete", {}),
    ("transfer.swap", {}),
    ("transfer.merge", {}),
    ("call.connect", {"to": "queue:support"}),
    ("call.connect", {"to": AGENT, "whisper": {"say": "A caller"}}),
    ("call.add", {"to": "app:AP" + "0" * 32}),
    ("call.announce", {"say": "Hello"}),
    ("call.supervise", {"mode": "monitor", "supervisor": LEAD}),
    ("call.supervise", {"mode": "coach", "supervisor": "client:second", "coach": "agent-1"}),
    ("supervision.switch", {"supervisor": "supervisor-1", "mode": "coach"}),
    ("supervision.switch", {"supervisor": "supervisor-1", "mode": "barge"}),
    ("supervision.switch", {"supervisor": "supervisor-2", "mode": "monitor"}),
    ("supervision.leave", {"supervisor": "supervisor-1"}),
    ("supervision.takeover", {"supervisor": "supervisor-1"}),
    ("recording.start", {}),
    ("recording.pause", {"max_pause_s": 5}),
    ("recording.resume", {}),
    ("recording.stop", {}),
    ("call.end", {}),
)
KINDS = (
    "progress", "join", "leave", "switch", "command", "report", "look", "time", "room", "again", "recording",
    "coaching", "task", "next room",
)  # fmt: skip
MODERATED = "participant-with-end-conference-on-exit-left"
TASK_HAPPENINGS = ("assignment", "reservation.timeout", "reservation.rescinded", "task.canceled")
RECORDING_SIDS = ("RE" + "0" * 31 + "1", "RE" + "0" * 31 + "2")
RECORDING_STATUSES = ("in-progress", "completed", "absent", "failed", "paused")
FOLLOWING = Policy(recording="from_start", supervision=SupervisionRights(follow=True))
SHOWN = ("in-progress", "paused", "stopped", None)


def _joined_before(story: Story, leg: str) -> bool:
    return any(item.leg == leg for item in story.state.legs)


def _about(leg: str, happening: Happening) -> Happening:
    """Only what Twilio could say: facts about legs that exist."""
    return lambda story: happening(story) if story.call is not None and _joined_before(story, leg) else None


@st.composite
def happenings(draw: st.DrawFn) -> Happening:  # noqa: C901, PLR0911, PLR0912 - one kind a branch
    """One thing that can happen to a call."""
    leg = draw(st.sampled_from(LEGS))
    kind = draw(st.sampled_from(KINDS))
    match kind:
        case "progress":
            status = draw(st.sampled_from(STATUSES))
            return _about(leg, lambda story: story.progress(leg, status))
        case "join":
            return _about(leg, lambda story: story.joins(leg))
        case "leave":
            reason = draw(st.sampled_from(("participant_hung_up", "participant_add_failed")))
            return _about(leg, lambda story: story.leaves(leg, reason, "busy"))
        case "switch":
            (event, field), value = draw(st.sampled_from(SWITCHES)), draw(st.booleans())
            return _about(leg, lambda story: story.shows(leg, event, **{field: value}))
        case "command":
            name, data = draw(st.sampled_from(COMMANDS))
            return lambda story: story.command(name, **data)
        case "report":
            position, outcome = draw(st.integers(0, 5)), draw(st.sampled_from(ActionOutcome))
            found, shown = draw(st.sampled_from((None, 404))), draw(st.sampled_from(SHOWN))
            return lambda story: _report(story, position, outcome, found, shown)
        case "look":
            seen = draw(st.lists(st.sampled_from(LEGS), unique=True))
            return lambda story: _look(story, seen)
        case "time":
            seconds = draw(st.sampled_from((1, 6, 20, 40, 400)))
            return lambda story: story.after(seconds)
        case "recording":
            recorded = draw(st.sampled_from(RECORDING_SIDS)), draw(st.sampled_from(RECORDING_STATUSES))
            return lambda story: _records(story, *recorded)
        case "coaching":
            coached = draw(st.sampled_from((None, "agent-1", "agent-2")))
            return _about(leg, lambda story: _coaches(story, leg, coached))
        case "task":
            number, what = draw(st.integers(1, 3)), draw(st.sampled_from(TASK_HAPPENINGS))
            return lambda story: _task(story, f"task-{number}", what)
        case "next room":
            return lambda story: story.in_room(story.state.room.generation) if story.call is not None else None
        case "room":
            ending = draw(st.sampled_from(("last-participant-left", "conference-ended-via-api", MODERATED)))
            return lambda story: story.room_ends(ending) if story.call is not None else None
        case _:
            position = draw(st.integers(0, 30))
            return lambda story: story.give(story.records[position % len(story.records)])


def _task(story: Story, task: str, what: str) -> None:
    """TaskRouter has reserved a worker, or takes the reservation or the task back."""
    attributes = msgspec.json.encode({"call_id": story.call_id, "task": task}).decode()
    if what == "assignment":
        worker = msgspec.json.encode({"contact_uri": "client:carla"}).decode()
        story.webhook(
            Source.ASSIGNMENT, TaskSid=f"WT-{task}", ReservationSid=f"WR-{len(story.records)}",
            WorkerAttributes=worker, TaskAttributes=attributes,
        )  # fmt: skip
        return
    found = next((item for item in story.state.tasks if item.task == task), None) if story.call is not None else None
    if found is not None:
        story.webhook(
            Source.TASK, EventType=what, Sid=f"EV-{len(story.records)}", TaskSid=found.task_sid or "",
            ReservationSid=found.reservation_sid or "", TaskAttributes=attributes,
        )  # fmt: skip


def _records(story: Story, sid: str, status: str) -> None:
    action = story.state.recording.request if story.call is not None else None
    params = {"RecordingSid": sid, "RecordingStatus": status}
    story.give(
        Webhook(f"recording.{sid}.{status}", story.call_id, story.at, Source.RECORDING,
                msgspec.Raw(msgspec.json.encode(params)), action=action)
    )  # fmt: skip


def _coaches(story: Story, leg: str, coached: str | None) -> None:
    about = {"CallSidToCoach": story.sid_of(coached)} if coached else {}
    flags = {"Muted": str(coached is None).lower(), "Coaching": str(coached is not None).lower()}
    story.conference("participant-modify", leg, **{**flags, **about})


def _report(story: Story, position: int, outcome: ActionOutcome, status: int | None, shown: str | None) -> None:
    pending = story.state.pending if story.call is not None else ()
    if pending:
        action = pending[position % len(pending)].action
        call_sid = story.sid_of(action.leg or "") if isinstance(action, CreateParticipant) else None
        story.give(
            ActionReport(f"report.{action.id}.{outcome}", story.call_id, story.at, action.id, "any", outcome,
                         leg=action.leg, status=status, call_sid=call_sid, recording_status=shown,
                         task_sid=f"WT-{action.task}" if isinstance(action, CreateTask) else None)
        )  # fmt: skip


def _look(story: Story, seen: list[str]) -> None:
    try:
        story.looks(conference_sid=None, participants=tuple(ParticipantSeen(story.sid_of(leg), leg) for leg in seen))
    except AssertionError:
        return


def lives(story: Story, many: list[Happening]) -> Story:
    """Let everything happen, as long as the call is known."""
    for happening in many:
        if story.call is not None:
            happening(story)
            sound(story)
    return story


def sound(story: Story) -> None:
    """What must hold after every record."""
    call = story.call
    if call is None:
        return
    if call.state is CallState.ENDED:
        assert not [item for item in call.open if item.action is None], "a command outlives its call"
    else:
        audible(story)
        accompanied(story)
        assert call.timers, "nothing would ever wake this call"
        switches = [leg for leg in call.legs if leg.state is LegState.JOINED and leg.desired != leg.observed]
        assert not switches or {"confirm", "unconfirmed"} & set(call.timers), "a switch nobody confirms"
    for leg in call.legs:
        if leg.state in LIVE_LEG_STATES - {LegState.JOINED} and not (leg.leg.endswith("-1") and leg.target is None):
            assert f"leg.{leg.leg}" in call.timers or leg.state is LegState.RINGING, f"nothing watches {leg.leg}"


def accompanied(story: Story) -> None:
    """A customer alone in the room is waiting with a limit, on the way out, or somebody is being fetched."""
    call = story.state
    customer = next((leg for leg in reversed(call.legs) if leg.role is Role.CUSTOMER), None)
    talking = [leg for leg in call.legs if leg.role in TALKING_ROLES and leg.state is LegState.JOINED]
    if customer is None or customer.state is not LegState.JOINED or talking:
        return
    fetched = [leg for leg in call.legs if leg.state in LIVE_LEG_STATES and leg is not customer]
    sought = [item for item in call.tasks if f"task.{item.task}" in call.timers]
    watched = {"max_wait", "orphan", "transfer", "end", "confirm", "unconfirmed"} & set(call.timers)
    assert customer.ours or fetched or sought or watched, "a customer alone, and nothing that would change it"


def audible(story: Story) -> None:
    """Nobody is heard as a supervisor whose mode does not say so, unless a muting or a removal is on its way."""
    for item in story.state.supervisions:
        leg = story.leg(item.supervisor)
        if leg.state is LegState.JOINED and leg.role is Role.SUPERVISOR and not leg.observed.muted:
            assert item.state.value in {"coaching", "barged", "switching"}, f"heard while {item.state}"
        if item.state.value == "switching":
            assert f"supervision.{item.supervisor}" in story.state.timers, "a switch that nothing ends"
        if item.state.value == "coaching":
            assert leg.observed.coaching == item.coach, "heard by somebody else than the coached agent"


@given(st.lists(happenings(), max_size=40))
@settings(max_examples=150, deadline=None)
def test_nothing_that_happens_makes_the_step_raise_or_loop(many: list[Happening]) -> None:
    """Any facts, commands, reports and timers, repeated and out of order, leave a call that something will wake."""
    lives(Story().inbound(), many)
    lives(connected(queues=True), many)
    lives(with_second_agent(supervised("coach", FOLLOWING, coach="agent-1")), many)


@given(st.lists(happenings(), max_size=40))
@settings(max_examples=100, deadline=None)
def test_every_command_is_answered_exactly_once(many: list[Happening]) -> None:
    """Each command has one result that is not a replay, or is still open; when the call is over, none is open."""
    story = lives(connected(), many)
    given = {record.id for record in story.records if type(record).__name__ == "Command"}
    answered = [effect.event_id for effect in story.effects if isinstance(effect, Reply) and not effect.result.replayed]

    open_now = len(story.state.open) if story.call is not None else 0
    assert len(answered) == len(set(answered))
    assert len(answered) + open_now == len(given) or story.call is None


@given(st.lists(happenings(), max_size=40))
@settings(max_examples=100, deadline=None)
def test_no_action_is_asked_for_twice(many: list[Happening]) -> None:
    """Action ids are derived and never repeat, and no leg is ever created twice."""
    story = lives(connected(), many)
    actions = [effect.action for effect in story.effects if isinstance(effect, RequestAction)]
    created = [action.leg for action in actions if isinstance(action, CreateParticipant)]

    assert len({action.id for action in actions}) == len(actions)
    assert len(set(created)) == len(created)


@given(st.lists(happenings(), max_size=30))
@settings(max_examples=100, deadline=None)
def test_a_customer_is_never_left_alone_in_silence(many: list[Happening]) -> None:
    """At no moment: `accompanied` is asked after every record, of a wait, a talk, a transfer and a rescue."""
    lives(Story(Policy(route=("queue:support", OTHER)), queues=True).inbound().joins("customer-1"), many)
    lives(connected(queues=True).leaves("agent-1"), many)
    lives(connected(queues=True).command("call.transfer", mode="warm", targets=["queue:support", OTHER]), many)
    lives(connected().room_ends("conference-ended-via-api").in_room(2).joins("customer-1"), many)


@given(st.lists(happenings(), max_size=25))
@settings(max_examples=60, deadline=None)
def test_giving_the_same_records_again_gives_the_same_call(many: list[Happening]) -> None:
    """A replay of the log is the call, byte for byte: the step knows nothing but its input."""
    story = lives(connected(), many)
    again = Story()
    for record in story.records:
        again.give(record)

    assert again.call == story.call
    assert again.effects == story.effects


@given(st.permutations(range(9)), st.lists(st.integers(0, 8), max_size=6))
@settings(max_examples=120, deadline=None)
def test_the_order_of_the_same_facts_does_not_matter(order: list[int], repeated: list[int]) -> None:
    """The facts of a talk and its end, shuffled and doubled, end in the same place."""
    reference = _talk_and_hang_up()
    begun, facts = reference.records[:2], reference.records[2:]
    assert len(facts) == len(order)
    shuffled: list[Inbox] = [facts[position] for position in (*order, *repeated)]

    story = Story()
    for record in (*begun, *shuffled):
        story.give(record)

    ends = [(item.state.state, [(leg.leg, leg.state) for leg in item.state.legs]) for item in (story, reference)]
    assert ends[0] == ends[1]
    assert not [effect for effect in story.effects if isinstance(effect, Ignore) and effect.reason == "malformed"]


def _talk_and_hang_up() -> Story:
    """Two records to begin with, then nine facts."""
    story = Story().inbound().command("call.connect", to=AGENT)
    story.joins("customer-1").progress("agent-1", "initiated").progress("agent-1", "ringing")
    story.progress("agent-1", "in-progress").joins("agent-1")
    return story.leaves("agent-1").leaves("customer-1").room_ends()
