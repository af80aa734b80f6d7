"""The checker of chaos runs counts only because it can fail: a good run tampered with, one thing at a time.

The run is a simulated one, written into the files of a chaos run; so the rules are tried without a Kafka.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from actions.ledger import LedgerEntry, Phase
from chaos.blows import Struck
from chaos.evidence import Evidence, Facts, tells
from chaos.figures import count, longest_gap
from chaos.judging import judge
from chaos.plan import Blow, Fault, Part
from chaos.recorder import read_records, records_file, write_record
from chaos.said import read_said
from chaos.twilio import EXCHANGES_FILE, LineSeen, TaskSeen
from chaos_of_simulation import files_of
from cordboard.log.port import Record
from schemas.codec import decode_action, decode_inbox
from schemas.records import Webhook
from schemas.results import RESULT_TYPE
from schemas.topics import Topic
from simulation.draw import draw
from simulation.running import carry_out

# A seed whose run has an agent's phone that is dialled, commands and several webhooks, on one partition or more.
SEED = 11
# One whose callers wait in TaskRouter's own queue; some of them hang up there.
SEED_OF_A_QUEUE = 256
# What a process had begun when the run was over is never awaited.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    """A run in which nothing went wrong."""
    plan = msgspec.structs.replace(draw(SEED), faults=(), forgets=False)
    return files_of(carry_out(plan), tmp_path_factory.mktemp("good") / "run")


@pytest.fixture
def facts(good: Facts, tmp_path: Path) -> Facts:
    """A copy of it, to be tampered with."""
    shutil.copytree(good.folder, tmp_path / "run")
    return msgspec.structs.replace(good, folder=tmp_path / "run", said=read_said(()), troubles=[])


def verdict(facts: Facts) -> set[str]:
    """The invariants that object."""
    return {found.invariant for found in judge(Evidence(facts), lambda _: None)}


def rewrite(facts: Facts, topic: Topic, change: Callable[[list[Record]], list[Record]]) -> None:
    """Change the records of the first partition that has some of them to change; offsets are counted anew."""
    for partition in range(facts.partitions):
        before = read_records(facts.folder / "topics", topic, partition)
        after = change(list(before))
        if after != before:
            with records_file(facts.folder / "topics", topic, partition).open("wb") as file:
                for offset, record in enumerate(after):
                    write_record(file, msgspec.structs.replace(record, offset=offset))
            return
    pytest.fail(f"nothing to change in {topic.value}")


def assigned_often(facts: Facts) -> None:
    """Claims are explained: they are not what is tried."""
    for partition in range(facts.partitions):
        for topic in (Topic.INBOX, Topic.ACTIONS):
            facts.said.assigned[topic.value, partition] = 100


def a_webhook_is_lost(facts: Facts) -> None:
    """In its place another one stands twice."""

    def change(records: list[Record]) -> list[Record]:
        places = [n for n, r in enumerate(records) if isinstance(decode_inbox(r.value or b""), Webhook)]
        if len(places) > 1:
            records[places[-1]] = records[places[0]]
        return records

    rewrite(facts, Topic.INBOX, change)


def a_webhook_never_came(facts: Facts) -> None:
    """Twilio was told 204 for something that nobody has."""
    told = next(tells(facts.folder))
    other = msgspec.structs.replace(told, status=204, error=None, params={**told.params, "SequenceNumber": "99"})
    with (facts.folder / EXCHANGES_FILE).open("ab") as lines:
        lines.write(msgspec.json.encode(other) + b"\n")


def _dialled(facts: Facts) -> LineSeen:
    """A line of a creation that must happen once."""
    folder = facts.folder / "topics"
    published = (r for p in range(facts.partitions) for r in read_records(folder, Topic.ACTIONS, p))
    once = {a.id for a in (decode_action(r.value or b"") for r in published) if getattr(a, "on_doubt", "") == "fail"}
    return next(line for line in facts.world.calls if any(f"a={action}" in line.url for action in once))


def a_call_is_created_twice(facts: Facts) -> None:
    """Twilio has two calls for one action, long after one another."""
    line = _dialled(facts)
    again = msgspec.structs.replace(line, sid="CA" + "f" * 32, created_at=line.created_at + 20)
    facts.world = msgspec.structs.replace(facts.world, calls=(*facts.world.calls, again))


def a_call_is_created_late(facts: Facts) -> None:
    """A creation reached Twilio a minute after its deadline, and nobody stood still."""
    line = _dialled(facts)
    late = msgspec.structs.replace(line, created_at=line.created_at + 100)
    calls = tuple(late if seen.sid == line.sid else seen for seen in facts.world.calls)
    facts.world = msgspec.structs.replace(facts.world, calls=calls)


def a_call_is_created_for_nobody(facts: Facts) -> None:
    """Twilio has a call of an action that no state has ever wanted."""
    line = _dialled(facts)
    ghost = msgspec.structs.replace(line, sid="CA" + "e" * 32, url=line.url.replace("a=", "a=x"))
    facts.world = msgspec.structs.replace(facts.world, calls=(*facts.world.calls, ghost))


def _last_state(records: list[Record]) -> int | None:
    return next((n for n in range(len(records) - 1, -1, -1) if b'"call":{' in (records[n].value or b"")), None)


def a_version_is_forked(facts: Facts) -> None:
    """Two records make the same version of a call: two owners have gone on from the same state."""

    def change(records: list[Record]) -> list[Record]:
        last = _last_state(records)
        return records if last is None else [*records, records[last]]

    rewrite(facts, Topic.STATE, change)


def a_version_is_missing(facts: Facts) -> None:
    """A record in the middle of a call's history is not there."""

    def change(records: list[Record]) -> list[Record]:
        last = _last_state(records)
        same = [n for n, r in enumerate(records) if last is not None and r.key == records[last].key]
        if len(same) > 2:
            del records[same[len(same) // 2]]
        return records

    rewrite(facts, Topic.STATE, change)


def a_zombie_has_written(facts: Facts) -> None:
    """A record of an owner that had been fenced was accepted."""

    def change(records: list[Record]) -> list[Record]:
        last = _last_state(records)
        if last is not None:
            value = msgspec.json.decode(records[last].value or b"")
            records[last] = msgspec.structs.replace(records[last], value=msgspec.json.encode({**value, "owner": 999}))
        return records

    rewrite(facts, Topic.STATE, change)


def claims_without_a_reason(facts: Facts) -> None:
    """Owners fence each other although nobody was assigned anything."""
    facts.said.assigned.clear()


def a_state_is_not_what_the_inbox_gives(facts: Facts) -> None:
    """The last record of a call says something else than its inputs."""

    def change(records: list[Record]) -> list[Record]:
        last = _last_state(records)
        if last is not None:
            value = (records[last].value or b"").replace(b'"state":"ended"', b'"state":"waiting"', 1)
            records[last] = msgspec.structs.replace(records[last], value=value)
        return records

    rewrite(facts, Topic.STATE, change)


def a_command_is_not_answered(facts: Facts) -> None:
    """Its sender was told that it is durable."""
    facts.commands = {**facts.commands, "forgotten": next(iter(facts.commands.values()))}


def a_command_is_answered_twice(facts: Facts) -> None:
    """The second answer says something else."""

    def change(records: list[Record]) -> list[Record]:
        for record in records:
            event = msgspec.json.decode(record.value or b"")
            if event["type"] == RESULT_TYPE and event["data"]["command_id"] in facts.commands:
                event["data"]["outcome"] = "expired" if event["data"]["outcome"] != "expired" else "applied"
                return [*records, msgspec.structs.replace(record, value=msgspec.json.encode(event))]
        return records

    rewrite(facts, Topic.EVENTS, change)


def an_action_ends_in_no_way(facts: Facts) -> None:
    """An action was wanted and nothing was ever reported of it."""

    def change(records: list[Record]) -> list[Record]:
        if not records:
            return records
        action = msgspec.json.decode(records[-1].value or b"")
        return [*records, msgspec.structs.replace(records[-1], value=msgspec.json.encode({**action, "id": "CA0.1.9"}))]

    rewrite(facts, Topic.ACTIONS, change)


def an_action_leaves_early(facts: Facts) -> None:
    """It was published before the state that wants it was durable."""

    def change(records: list[Record]) -> list[Record]:
        return [msgspec.structs.replace(record, timestamp_ms=record.timestamp_ms - 60_000) for record in records]

    rewrite(facts, Topic.ACTIONS, change)


def a_number_is_logged(facts: Facts) -> None:
    """A caller's."""
    facts.said.numbered.append(f'{{"event": "x", "from": "{next(iter(facts.numbers))}"}}')


def something_ended_by_itself(facts: Facts) -> None:
    """A process that nobody killed."""
    facts.troubles.append("engine-1 ended by itself with 1")


def something_is_behind(facts: Facts) -> None:
    """Half a minute after the last fault."""
    facts.behind = {"inbox[3]": 7}


def both_sides_differ(facts: Facts) -> None:
    """When all had healed."""
    facts.disagreed = ["12345678 has ended and at Twilio there is still ['agent-1']"]


def a_task_is_left_open(facts: Facts) -> None:
    """Everybody has gone home, and TaskRouter still believes that somebody talks."""
    call_id = next(iter(facts.commands.values()))
    facts.world = msgspec.structs.replace(facts.world, tasks=(TaskSeen(call_id, "of the queue", "assigned"),))


def test_a_good_run_is_good(facts: Facts) -> None:
    """Nothing objects where nothing went wrong, and the figures are those of the run."""
    assigned_often(facts)
    figures = count(Evidence(facts), (0.0, 1.0))

    assert verdict(facts) == set()
    assert figures.acknowledged == sum(1 for _ in tells(facts.folder)) > 0
    assert figures.created > 0
    assert figures.results == figures.commands > 0
    assert (figures.lost, figures.twice, figures.given_up) == (0, 0, 0)


def test_callers_in_taskrouters_queue_are_judged_and_counted(tmp_path: Path) -> None:
    """The legs of workers whom TaskRouter has dialled are nobody's creation, and nothing objects to them."""
    plan = msgspec.structs.replace(draw(SEED_OF_A_QUEUE), faults=(), forgets=False)
    assert plan.policy["route"] == ("enqueue:pool",)
    facts = files_of(carry_out(plan), tmp_path / "run")
    assigned_often(facts)
    figures = count(Evidence(facts), (0.0, 1.0))

    assert any("a=WR" in line.url for line in facts.world.calls)
    assert figures.enqueued > figures.served > 0
    assert verdict(facts) == set()


@pytest.mark.parametrize(
    ("tamper", "objects"),
    [
        (a_webhook_is_lost, "i01_acknowledged_is_kept"),
        (a_webhook_never_came, "i01_acknowledged_is_kept"),
        (a_version_is_forked, "i02_once_and_in_order"),
        (a_version_is_missing, "i02_once_and_in_order"),
        (a_zombie_has_written, "i03_owners"),
        (claims_without_a_reason, "i03_owners"),
        (an_action_ends_in_no_way, "i04_every_action_ends"),
        (a_call_is_created_twice, "i05_created_once"),
        (a_call_is_created_for_nobody, "i05_created_once"),
        (a_call_is_created_late, "i06_nothing_after_its_deadline"),
        (something_is_behind, "i10_healed"),
        (a_command_is_not_answered, "i10_healed"),
        (a_command_is_answered_twice, "i10_healed"),
        (a_state_is_not_what_the_inbox_gives, "i11_rebuilt"),
        (a_number_is_logged, "i12_nothing_personal_in_logs"),
        (something_ended_by_itself, "i13_nothing_breaks"),
        (both_sides_differ, "i15_agreement"),
        (a_state_is_not_what_the_inbox_gives, "i17_all_end"),
        (a_task_is_left_open, "i17_no_task_is_left"),
        (an_action_leaves_early, "i18_nothing_leaves_early"),
    ],
)
def test_what_is_wrong_is_found(facts: Facts, tamper: Callable[[Facts], None], objects: str) -> None:
    """Each thing that must never happen has an invariant that objects."""
    assigned_often(facts)
    tamper(facts)

    assert objects in verdict(facts)


def test_what_is_lost_and_doubled_is_counted(facts: Facts) -> None:
    """The page's two figures that must be 0 are not 0 when something is wrong."""
    assigned_often(facts)
    a_webhook_is_lost(facts)
    a_call_is_created_twice(facts)
    figures = count(Evidence(facts), (0.0, 1.0))

    assert (figures.lost, figures.twice) == (1, 1)


def test_who_stood_still_may_be_late(facts: Facts) -> None:
    """A worker that sleeps between its last check and the socket cannot be prevented from sending late."""
    assigned_often(facts)
    a_call_is_created_late(facts)
    at = _dialled(facts).created_at
    facts.struck = [Struck(Fault(0.5, Blow.STOP, Part.ACTIONS, 0, 9.0), at - 9, at)]

    assert "i06_nothing_after_its_deadline" not in verdict(facts)


def test_the_longest_gap_counts_the_ends() -> None:
    """Silence before the first record and after the last one is silence too; what lies outside does not count."""
    assert longest_gap([1.0, 12.0, 14.0, 40.0], (10.0, 20.0)) == 6.0
    assert longest_gap([], (10.0, 20.0)) == 10.0


def test_unknowns_are_counted(facts: Facts) -> None:
    """An action that ended `unknown` is told on the page."""

    def change(records: list[Record]) -> list[Record]:
        for number, record in enumerate(records):
            entry = msgspec.json.decode(record.value or b"", type=dict[str, object])
            if entry.get("phase") == Phase.DONE.value:
                value = msgspec.json.encode({**entry, "phase": Phase.UNKNOWN.value})
                assert msgspec.json.decode(value, type=LedgerEntry).phase is Phase.UNKNOWN
                records[number] = msgspec.structs.replace(record, value=value)
                return records
        return records

    rewrite(facts, Topic.LEDGER, change)
    assert count(Evidence(facts), (0.0, 1.0)).unknown == 1
