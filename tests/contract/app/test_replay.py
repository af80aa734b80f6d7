"""`cordboard replay`: what it finds different, what it leaves out, what it reads from, and that it writes nothing."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from cordboard.app.cli import cli
from cordboard.app.replay import rerun
from cordboard.app.replay.differences import CallReport
from cordboard.app.replay.histories import Header, History, OfFile, OfLog, export, opened_file, read_file, write_file
from cordboard.app.replay.replaying import replay
from cordboard.log.kafka import KafkaLog
from cordboard.log.kafka_settings import KafkaSettings
from cordboard.log.memory import MemoryLog
from cordboard.log.port import Entry, Log, Record
from cordboard.log.sqlite import SqliteLog
from engine.core.effects import Emit, RequestAction, Step
from engine.core.step import Switchboard
from histories import FOLDER, OF_THIS_VERSION
from kafka_broker import KafkaBroker
from schemas.actions import UpdateParticipant
from schemas.records import Command, Inbox
from schemas.state import DEFINITION, Call
from schemas.topics import CLAIM_KEY, STATE_POSITION_KEY, Topic

HOLD = FOLDER / OF_THIS_VERSION / "hold-and-resume.jsonl.gz"
OLDER = FOLDER / "0.1.0-1" / "held.jsonl.gz"
"""A whole journal, without a gap in its offsets, of the first version; it comes out differently today."""
PARTITIONS = 8


class Changed(Switchboard):
    """A core with a change of behaviour that nobody wanted."""

    def step(self, call: Call | None, record: Inbox, refused: Sequence[Command] = ()) -> Step:
        """Say nothing of holds, and ask Twilio for none."""
        step = super().step(call, record, refused)
        kept = tuple(effect for effect in step.effects if not _is_hold(effect))
        return msgspec.structs.replace(step, effects=kept)


def _is_hold(effect: object) -> bool:
    held = isinstance(effect, Emit) and effect.name == "call.held"
    asked = isinstance(effect, RequestAction) and isinstance(effect.action, UpdateParticipant) and effect.action.hold
    return held or bool(asked)


class Poisoned(Switchboard):
    """A core that falls over resuming."""

    def step(self, call: Call | None, record: Inbox, refused: Sequence[Command] = ()) -> Step:
        """Fall over it."""
        if isinstance(record, Command) and record.name == "call.resume":
            raise ZeroDivisionError("planted")
        return super().step(call, record, refused)


def run(*arguments: str | Path, **env: str) -> Result:
    """Type a command line."""
    return CliRunner(env=env).invoke(cli, ["replay", *map(str, arguments)], catch_exceptions=False)


async def reports_of(history: History) -> list[CallReport]:
    """Every call of a history."""
    return sorted([report async for report in replay(history)], key=lambda report: report.call_id)


def records_of(file: Path) -> tuple[Header, list[Record]]:
    """What an exported file holds."""

    async def read() -> tuple[Header, list[Record]]:
        history = read_file(file)
        topics = (Topic.EVENTS, Topic.ACTIONS, Topic.DEAD_LETTERS, Topic.STATE, Topic.INBOX)
        places = [(topic, partition) for topic in topics for partition in range(history.partitions)]
        return history.header, [record for place in places async for record in history.read(*place)]

    return asyncio.run(read())


def changed(file: Path, to: Path, change: Callable[[Record], Iterable[Record]], **header: object) -> Path:
    """A copy of a history with other records."""
    head, records = records_of(file)
    write_file(to, msgspec.structs.replace(head, **header), [new for old in records for new in change(old)])
    return to


def test_what_is_said_and_asked_differently_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events and actions that come no more: exit code 1, a row for each with its cause, and how many calls differ."""
    monkeypatch.setattr(rerun, "Switchboard", Changed)

    result = run(HOLD)

    assert result.exit_code == 1
    assert "event call.held" in result.stdout
    assert "action update_participant" in result.stdout
    assert "conference event participant-hold" in result.stdout
    assert "1 calls differ" in result.stdout


def test_a_record_that_would_be_put_aside_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that fails now is a dead letter that was none, and a command without its result."""
    monkeypatch.setattr(rerun, "Switchboard", Poisoned)

    *calls, last = [json.loads(line) for line in run(HOLD, "--json").stdout.splitlines()]

    found = [one for call in calls for one in call["differences"]]
    assert {"kind": "dead_letter", "then": None, "now": "poison: ZeroDivisionError: planted"}.items() <= next(
        one for one in found if one["kind"] == "dead_letter"
    ).items()
    assert any(one["kind"] == "result" and one["now"] == "failed" for one in found)
    assert any(one["kind"] == "state" for one in found)
    assert last["summary"]["differing"] == 1


def test_one_call_alone(tmp_path: Path) -> None:
    """`--call` reads one call; one that nobody knows is an error."""
    _, records = records_of(OLDER)
    call_id = next(record.key or b"" for record in records if record.topic is Topic.ACTIONS).decode()
    only = run(OLDER, "--call", call_id, "--json")
    unknown = run(OLDER, "--call", "CA0")

    assert [json.loads(line).get("call_id") for line in only.stdout.splitlines()] == [call_id, None]
    assert (unknown.exit_code, unknown.stderr) == (1, "nothing is known of a call CA0\n")

    exported = tmp_path / "one.jsonl.gz"
    assert run(OLDER, "--call", call_id, "--export", exported).exit_code == 0
    assert run(exported, "--json").stdout == only.stdout


def test_what_is_gone_by_age_is_no_difference(tmp_path: Path) -> None:
    """Without the actions and events of former days nothing is missed."""
    _, records = records_of(HOLD)
    (place,) = {(record.topic, record.partition) for record in records if record.topic is Topic.EVENTS}
    earliest = {f"{topic.value}/{place[1]}": 1 << 40 for topic in (Topic.EVENTS, Topic.ACTIONS)}
    gone = {Topic.EVENTS, Topic.ACTIONS}
    file = changed(
        HOLD, tmp_path / "a.gz", lambda r: [] if r.topic in gone else [_without_outbox(r)], earliest=earliest
    )

    result = run(file)

    assert result.exit_code == 0, result.stdout


def _without_outbox(record: Record) -> Record:
    if record.topic is not Topic.STATE or record.value is None or record.key == CLAIM_KEY:
        return record
    value = {name: what for name, what in json.loads(record.value).items() if name != "outbox"}
    return msgspec.structs.replace(record, value=json.dumps(value).encode())


def test_a_call_that_began_before_goes_on_from_a_state(tmp_path: Path) -> None:
    """Where the inbox has lost its beginning, the oldest state is where it starts; without one it is left out."""
    _, records = records_of(HOLD)
    inbox = [record for record in records if record.topic is Topic.INBOX]
    cut = inbox[len(inbox) // 2].offset
    earliest = {f"{Topic.INBOX.value}/{inbox[0].partition}": cut}

    def lost(record: Record) -> list[Record]:
        return [] if record.topic is Topic.INBOX and record.offset < cut else [record]

    def compacted(record: Record) -> list[Record]:
        is_call = record.topic is Topic.STATE and record.key not in {CLAIM_KEY, STATE_POSITION_KEY}
        return [] if is_call and record.offset != last else lost(record)

    last = max(r.offset for r in records if r.topic is Topic.STATE and r.key not in {CLAIM_KEY, STATE_POSITION_KEY})

    def forgotten(record: Record) -> list[Record]:
        covered = json.dumps({"in_off": inbox[-1].offset, "owner": 0}).encode()
        kept = compacted(record)
        return [
            msgspec.structs.replace(one, key=STATE_POSITION_KEY, value=covered) if one.topic is Topic.STATE else one
            for one in kept
        ]

    cut_off, at_the_end, gone = (
        run(changed(HOLD, tmp_path / f"{change.__name__}.gz", change, earliest=earliest), "--json")
        for change in (lost, compacted, forgotten)
    )

    [call, summary] = [json.loads(line) for line in cut_off.stdout.splitlines()]
    assert (call["resumed"], call["differences"], cut_off.exit_code) == (True, [], 0)
    assert 0 < summary["summary"]["records"] < len(inbox)
    last_state = json.loads(at_the_end.stdout.splitlines()[0])
    assert (last_state["resumed"], last_state["differences"], at_the_end.exit_code) == (True, [], 0)
    nothing = json.loads(gone.stdout.splitlines()[0])
    assert (nothing["skipped"] is not None, nothing["records"], gone.exit_code) == (True, 0, 0)


def test_what_was_not_applied_yet_is_left_out(tmp_path: Path) -> None:
    """Inbox records beyond the last state are the engine's to apply first."""
    file = tmp_path / "a.gz"
    header, records = records_of(HOLD)
    beyond = [msgspec.structs.replace(r, offset=r.offset + 1000) for r in records if r.topic is Topic.INBOX]
    write_file(file, header, [*records, *beyond])

    assert run(file).stdout == run(HOLD).stdout


def test_a_state_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    """It says which version is needed, instead of comparing half of it."""

    def newer(record: Record) -> list[Record]:
        old, new = f'"definition":{DEFINITION}'.encode(), f'"definition":{DEFINITION + 1}'.encode()
        value = None if record.value is None else record.value.replace(old, new)
        return [msgspec.structs.replace(record, value=value)]

    result = run(changed(HOLD, tmp_path / "a.gz", newer))

    assert result.exit_code == 1
    assert f"is of a newer version (its definition is {DEFINITION + 1}" in result.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "there is no such file"), (b"\x1f\x8bnonsense", "is no history"), (b"text", "damaged or not an SQLite")],
)
def test_what_is_no_history_is_told(content: bytes | None, said: str, tmp_path: Path) -> None:
    """A file that is missing or something else is named, with what was expected."""
    file = tmp_path / "x"
    if content is not None:
        file.write_bytes(content)

    result = run(file)

    assert result.exit_code == 1
    assert said in result.stderr
    assert str(file) in result.stderr


def test_a_policy_can_be_tried(tmp_path: Path) -> None:
    """With today's settings calls begin under today's policy file; without, under what they had."""
    policy = tmp_path / "policy.toml"
    policy.write_text('[defaults]\nroute = "phone:+15550199"\n')
    file = FOLDER / OF_THIS_VERSION / "inbound-wait-connect.jsonl.gz"

    as_it_was = run(file, CORDBOARD_POLICY_FILE=str(policy))
    tried = run(file, "--with-settings", CORDBOARD_POLICY_FILE=str(policy))

    assert as_it_was.exit_code == 0, as_it_was.stdout
    assert tried.exit_code == 1
    assert "action create_participant" in tried.stdout


async def test_a_live_journal_is_read_and_left_as_it_is(tmp_path: Path) -> None:
    """While a process has it, it is read from beside; neither the file nor its write-ahead log changes."""
    path = tmp_path / "journal.db"
    log = SqliteLog(path, PARTITIONS)
    try:
        await fill(log)
        before = contents(path)
        async with opened_file(path) as history:
            found = await reports_of(history)
        assert contents(path) == before
        assert found == await _comparable(read_file(OLDER), found)
    finally:
        await log.aclose()


def contents(path: Path) -> tuple[bytes, bytes]:
    """The journal and what stands beside it."""
    return path.read_bytes(), path.with_name(path.name + "-wal").read_bytes()


async def fill(log: Log) -> None:
    """The records of the older history, at the same inbox offsets."""
    history = read_file(OLDER)
    for partition in range(PARTITIONS):
        for topic in (Topic.INBOX, Topic.ACTIONS, Topic.EVENTS):
            entries = [Entry(partition, r.key or b"", r.value) async for r in history.read(topic, partition)]
            if entries:
                await log.publish(topic, entries)
        states = [
            Entry(partition, r.key or b"", r.value)
            async for r in history.read(Topic.STATE, partition)
            if r.key != CLAIM_KEY
        ]
        if states:
            fenced = await log.claim(Topic.STATE, partition, "test")
            await fenced.append(states)
            await fenced.close()


async def _comparable(history: OfFile, like: list[CallReport]) -> list[CallReport]:
    """The reports of the file, at the times at which the other log took the records."""
    reports = await reports_of(history)
    for mine, other in zip(reports, like, strict=True):
        assert len(mine.differences) == len(other.differences)
    return [
        msgspec.structs.replace(
            mine,
            differences=tuple(
                msgspec.structs.replace(one, at=theirs.at)
                for one, theirs in zip(mine.differences, other.differences, strict=True)
            ),
        )
        for mine, other in zip(reports, like, strict=True)
    ]


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
async def log(request: pytest.FixtureRequest) -> AsyncIterator[Log]:
    """A log that is read through its port."""
    made: Log = MemoryLog(PARTITIONS)
    if request.param == "kafka":
        broker: KafkaBroker = request.getfixturevalue("kafka")
        prefix: str = request.getfixturevalue("topic_prefix")
        made = KafkaLog(KafkaSettings(bootstrap=(broker.bootstrap,), prefix=prefix, partitions=PARTITIONS))
        await made.ensure_topics()
    yield made
    await made.aclose()


async def test_any_log_gives_what_the_file_gives(log: Log, tmp_path: Path) -> None:
    """Kafka is replayed as a journal is, and exported to the same effect."""
    await fill(log)
    ends = {topic: await log.bounds(topic) for topic in Topic}

    found = await reports_of(OfLog(log))

    assert found == await _comparable(read_file(OLDER), found)
    assert sum(report.records for report in found) == 21
    assert await export(OfLog(log), tmp_path / "a.gz", []) > 60
    assert await reports_of(read_file(tmp_path / "a.gz")) == found
    assert {topic: await log.bounds(topic) for topic in Topic} == ends
