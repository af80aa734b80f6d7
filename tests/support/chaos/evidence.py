"""A chaos run as the checker wants it: the recorded topics, the local Twilio's ledgers, and what the driver knows.

Decoded calls are large, so the log is judged partition by partition, and the run as a whole once more without it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec

from actions.ledger import Phase
from chaos.blows import Struck
from chaos.plan import NUMBER, NUMBERS, Blow, Part
from chaos.recorder import read_records
from chaos.said import Said
from chaos.stalls import Stall
from chaos.twilio import EXCHANGES_FILE, Told, WorldSeen
from checker.agreement import Agreement, Place
from checker.ledgers import Delivered, Ledgers, OpenTask, Sent
from cordboard.log.port import Record
from engine.core.config import CoreConfig
from engine.core.step import Switchboard
from ingress.webhooks import SOURCES, UnplaceableError, call_of
from schemas.codec import decode_state
from schemas.policy import Policies
from schemas.routes import Route
from schemas.state import Call
from schemas.topics import Topic, partition_of
from stack import ACCOUNT

_OK = range(200, 300)
_LATE_FOR_S = 30.0
_UNPLACED = 0
_HOLDS_REQUESTS_UP = {(Blow.STOP, Part.ACTIONS), (Blow.STOP, Part.EVERYTHING), (Blow.DELAY, Part.TO_TWILIO)}
_RESERVATION = "WR"
"""The leg of a worker whom TaskRouter itself has dialled reports to its reservation, not to an action of ours."""
_over = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})
_told = msgspec.json.Decoder(Told).decode


class Facts(msgspec.Struct, kw_only=True):
    """What the driver of a run knows at its end. Times in epoch milliseconds."""

    folder: Path
    """The recorded topics are in `topics`, the local Twilio's ledgers beside it."""
    partitions: int
    world: WorldSeen
    said: Said
    commands: dict[str, str] = {}
    struck: list[Struck] = []
    stalls: list[Stall] = []
    """When the links or the local Twilio stood still by themselves."""
    behind: dict[str, int] = {}
    troubles: list[str] = []
    disagreed: list[str] = []
    healed_ms: int = 0
    healed: dict[str, Call] = {}
    """The calls when all had healed, those left out of which Twilio had given up a callback."""
    ended_ms: int = 0
    numbers: frozenset[str] = frozenset()
    """Of those who called, and of those whom agents have called from their browsers."""
    core: CoreConfig = CoreConfig(Policies(), account_sid=ACCOUNT, number=NUMBER)


def tells(folder: Path) -> Iterator[Told]:
    """Every callback and document so far that leaves a record with us."""
    with (folder / EXCHANGES_FILE).open("rb") as lines:
        for line in lines:
            told = _told(line)
            if _route(told) in SOURCES:
                yield told


def is_acknowledged(told: Told) -> bool:
    """Whether it was answered as recorded."""
    return told.error is None and told.status in _OK and not told.put_off


def call_of_told(told: Told) -> str | None:
    """The call that a callback belongs to, None for one of nobody."""
    query = {name: values[0] for name, values in parse_qs(urlsplit(told.url).query).items()}
    try:
        return call_of(SOURCES[_route(told)], query, told.params)
    except UnplaceableError:
        return None


def _route(told: Told) -> Route:
    return Route(urlsplit(told.url).path)


def agreement(world: WorldSeen, states: Mapping[bytes, bytes]) -> Agreement:
    """What both sides show; `states` are the last state records."""
    lines: dict[str, dict[str, str]] = defaultdict(dict)
    for line in world.calls:
        if line.status not in _over:
            lines[_query(line.url, "call") or line.sid][line.sid] = f"{line.label or line.sid[-6:]} ({line.status})"
    places: dict[str, dict[str, Place]] = {
        name: {place.call_sid: (place.hold, place.muted, place.end_on_exit) for place in inside}
        for name, inside in world.rooms.items()
    }
    calls = (decode_state(state).call for state in states.values())
    known = {call.call_id: call for call in calls if isinstance(call, Call)}
    return Agreement(int(world.at * 1000), known, lines, places)


def _query(url: str, name: str) -> str:
    return parse_qs(urlsplit(url).query).get(name, [""])[0]


class Evidence:
    """The ledgers of a run, by partition."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self._told: dict[int, list[bytes]] = defaultdict(list)
        self._given_up: set[str] = set()
        for told in tells(facts.folder):
            call_id = call_of_told(told)
            partition = _UNPLACED if call_id is None else self._partition(call_id)
            self._told[partition].append(msgspec.json.encode(told))
            if call_id is not None and not is_acknowledged(told) and not told.put_off:
                self._given_up.add(call_id)
        self.created: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for line in facts.world.calls:
            action = _query(line.url, "a")
            if action and not action.startswith(_RESERVATION):
                self.created[self._partition(action.rsplit(".", 2)[0])][action].append(line.created_at)

    def _partition(self, call_id: str) -> int:
        return partition_of(call_id.encode(), self.facts.partitions)

    def delivered(self, partition: int) -> Iterator[Delivered]:
        """Callbacks of the calls of a partition."""
        for packed in self._told[partition]:
            told = _told(packed)
            yield Delivered(_route(told), told.url, told.params, is_acknowledged(told))

    def open_tasks(self, partition: int) -> Iterator[OpenTask]:
        """Tasks that are left of the calls of a partition, unless Twilio has given up a callback of the call."""
        for task in self.facts.world.tasks:
            if task.call_id not in self._given_up and self._partition(task.call_id) == partition:
                yield OpenTask(task.call_id, task.name, task.status)

    def commands(self, partition: int) -> Iterator[str]:
        """Commands about the calls of a partition."""
        return (command for command, call in self.facts.commands.items() if self._partition(call) == partition)

    def slept(self, at_s: float) -> bool:
        """Whether a request that came then may have been on its way for long, or its sender have stood still."""
        faults = (
            (struck.began, struck.ended)
            for struck in self.facts.struck
            if (struck.fault.blow, struck.fault.part) in _HOLDS_REQUESTS_UP
        )
        stalls = ((stall.began, stall.ended) for stall in self.facts.stalls)
        return any(began <= at_s <= ended + _LATE_FOR_S for began, ended in chain(faults, stalls))


class ChaosLedgers(Ledgers):
    """One partition of a run, or with `partition` None what is not about one."""

    def __init__(self, evidence: Evidence, partition: int | None) -> None:
        self._evidence = evidence
        self._facts = evidence.facts
        self._partition = partition
        self.partitions = () if partition is None else (partition,)

    def log_records(self, topic: Topic, partition: int) -> Sequence[Record]:
        """See `Ledgers`."""
        return read_records(self._facts.folder / "topics", topic, partition)

    @cached_property
    def dead_letters(self) -> Sequence[Record]:
        """See `Ledgers`: of all partitions, for their keys are those of the sources."""
        topics = self._facts.folder / "topics"
        return [r for p in range(self._facts.partitions) for r in read_records(topics, Topic.DEAD_LETTERS, p)]

    @property
    def callbacks(self) -> Iterable[Delivered]:
        """See `Ledgers`."""
        return () if self._partition is None else self._evidence.delivered(self._partition)

    @property
    def created(self) -> Mapping[str, Sequence[float]]:
        """See `Ledgers`: calls that Twilio has, by the action in the URL that they report to."""
        return {} if self._partition is None else self._evidence.created[self._partition]

    @property
    def sent(self) -> Iterable[Sent]:
        """See `Ledgers`: creations only, for of other requests Twilio does not know the action.

        Where one may have been late on its way, the intent counts that stands in the log right before it.
        """
        made = sorted((at, action) for action, times in self.created.items() for at in times)
        for at, action in made:
            if action in self.actions:
                sent_at = self._intended(action, at) if self._evidence.slept(at) else at
                yield Sent(int(sent_at * 1000), self.actions[action], doubtful=sent_at != at)

    def _intended(self, action: str, before: float) -> float:
        return max((at for at in self._intents.get(action, ()) if at <= before), default=before)

    @cached_property
    def _intents(self) -> dict[str, list[float]]:
        """When a request was about to leave, by action."""
        found: dict[str, list[float]] = defaultdict(list)
        for record, entry in self.ledger:
            if entry.phase is Phase.INTENT and record.key is not None:
                found[record.key.decode()].append(entry.at / 1000)
        return found

    @property
    def open_tasks(self) -> Iterable[OpenTask]:
        """See `Ledgers`."""
        return () if self._partition is None else self._evidence.open_tasks(self._partition)

    def disagreements(self) -> Iterator[str]:
        """See `Ledgers`."""
        yield from self._facts.disagreed if self._partition is None else ()

    @property
    def quiet(self) -> bool:
        """See `Ledgers`. Machines that are busy are late, so timers are not judged by the clock here."""
        return False

    def may_have_slept(self, action_id: str) -> bool:
        """See `Ledgers`."""
        return any(self._evidence.slept(at) for at in self.created.get(action_id, ()))

    def claims_explained(self, topic: Topic, partition: int) -> int:
        """See `Ledgers`: at most two for each assignment, and one more for each thing that went wrong."""
        source = Topic.INBOX if topic is Topic.STATE else Topic.ACTIONS
        return 2 * self._facts.said.assigned[source.value, partition] + len(self._facts.struck)

    def troubles(self) -> Iterator[str]:
        """See `Ledgers`."""
        if self._partition is None:
            yield from self._facts.troubles
            yield from self._facts.said.broken

    @property
    def commands(self) -> Iterable[str]:
        """See `Ledgers`."""
        return () if self._partition is None else self._evidence.commands(self._partition)

    @property
    def numbers(self) -> frozenset[str]:
        """See `Ledgers`."""
        return self._facts.numbers | set(NUMBERS)

    @property
    def said(self) -> Iterable[str]:
        """See `Ledgers`: the lines in which there is a number at all."""
        return self._facts.said.numbered if self._partition is None else ()

    @property
    def looks(self) -> Sequence[tuple[int, Mapping[str, Call]]]:
        """See `Ledgers`: when all had healed, and at the end."""
        if self._partition is None:
            return ((self._facts.healed_ms, self._facts.healed),)
        return ((self._facts.ended_ms, self.calls),)

    @property
    def behind(self) -> Mapping[str, int]:
        """See `Ledgers`."""
        return self._facts.behind if self._partition is None else {}

    def switchboard(self) -> Switchboard:
        """See `Ledgers`."""
        return Switchboard(self._facts.core)

    def place(self, record: Record) -> int:
        """See `Ledgers`: the clock of the machine, which everybody shares. Writers stamp what they write."""
        return record.timestamp_ms
