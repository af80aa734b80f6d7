"""The ledger of one partition: what was begun and how it ended, by action id, in `call.ledger`.

An intent is durable before its request leaves, a result before its report does (reliability.md 3.3). Replayed when the
partition is taken. An intent without a result is the ambiguous window: it is looked up, never blindly repeated.
"""

from collections import OrderedDict
from collections.abc import Iterable
from enum import StrEnum

import msgspec
import structlog

from actions.appending import GroupAppend
from cordboard.clock import Clock
from cordboard.log.port import Entry, FencedPartition, Record
from schemas.actions import Action
from schemas.records import ActionReport
from schemas.topics import STATE_POSITION_KEY

_log = structlog.get_logger(__name__)


class Phase(StrEnum):
    """Where an action stands. All but `intent` are final; `position` says only how far the partition has come."""

    INTENT = "intent"
    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    POSITION = "position"


class LedgerEntry(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One record of the ledger. `owner` is the claim's token, `offset` the action's own in `call.actions`.

    `floor`: every action below that offset has ended and been reported. `at` is when this was written, ms.
    """

    phase: Phase
    owner: int
    at: int
    offset: int
    floor: int
    attempt: int = 1
    report: ActionReport | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(LedgerEntry)


class Ledger:
    """The ledger of one partition while we own it. `kept_ms`, `kept`: how long and how many results are remembered."""

    def __init__(self, partition: int, fenced: FencedPartition, clock: Clock, *, kept_ms: int, kept: int) -> None:
        self._partition = partition
        self._fenced = fenced
        self._clock = clock
        self._kept_ms = kept_ms
        self._kept = kept
        self._open: dict[str, LedgerEntry] = {}
        self._finished: OrderedDict[str, LedgerEntry] = OrderedDict()
        self._floor: int | None = None
        self._highest_owner = -1
        self.unconfirmed: list[LedgerEntry] = []
        """Results found by `replay` of which it is not certain that they were reported."""
        self.group = GroupAppend(fenced)

    async def replay(self) -> int | None:
        """Read everything before our claim. Returns the next offset of `call.actions` not covered, None if unknown.

        What has ended since the last floor is covered too, once `unconfirmed` has been reported.
        """
        async for records in self._fenced.replay():
            self._read(records)
        ended = {entry.offset: entry for entry in self._finished.values()}
        start = self._floor
        while start is not None and start in ended:
            self.unconfirmed.append(ended[start])
            start += 1
        self._forget()
        return start

    def of(self, action_id: str) -> LedgerEntry | None:
        """What is known of an action."""
        return self._open.get(action_id) or self._finished.get(action_id)

    def reports(self) -> Iterable[ActionReport]:
        """Everything that has ended, as far as it is remembered."""
        return (entry.report for entry in self._finished.values() if entry.report is not None)

    def open_intents(self) -> int:
        """Intents without a result."""
        return len(self._open)

    async def intend(self, action: Action, *, attempt: int, offset: int, floor: int) -> None:
        """Write that a request is about to leave. Raises `AppendFailedError`: then it must not leave."""
        entry = LedgerEntry(
            phase=Phase.INTENT,
            owner=self._fenced.token,
            at=self._clock(),
            offset=offset,
            floor=floor,
            attempt=attempt,
        )
        await self._append(action.id, entry)
        self._open[action.id] = entry

    async def finish(self, report: ActionReport, *, offset: int, floor: int) -> None:
        """Write how an action ended. Raises `AppendFailedError`: then it must not be reported."""
        entry = LedgerEntry(
            phase=Phase(report.outcome.value),
            owner=self._fenced.token,
            at=self._clock(),
            offset=offset,
            floor=floor,
            attempt=report.attempts,
            report=report,
        )
        await self._append(report.action, entry)
        self._open.pop(report.action, None)
        self._remember(report.action, entry)
        self._forget()

    async def advance(self, *, offset: int, floor: int) -> None:
        """Write that a record has been dealt with that leaves no result of its own."""
        entry = LedgerEntry(
            phase=Phase.POSITION, owner=self._fenced.token, at=self._clock(), offset=offset, floor=floor
        )
        await self._append(STATE_POSITION_KEY.decode(), entry)

    async def _append(self, key: str, entry: LedgerEntry) -> None:
        self._floor = max(entry.floor, -1 if self._floor is None else self._floor)
        value = _encoder.encode(entry)
        await self.group.append(Entry(partition=self._partition, key=key.encode(), value=value))

    def _read(self, records: Iterable[Record]) -> None:
        for record in records:
            if record.value is None or record.key is None:
                continue
            try:
                entry = _decoder.decode(record.value)
            except msgspec.MsgspecError as error:
                _log.error("ledger.unreadable", partition=self._partition, offset=record.offset, reason=str(error))
                continue
            self._take(record.key.decode(errors="replace"), entry)

    def _take(self, key: str, entry: LedgerEntry) -> None:
        if entry.owner < self._highest_owner:  # never by the protocol; said aloud and left aside (reliability.md 2.3)
            _log.error("ledger.owner_decreased", partition=self._partition, owner=entry.owner)
            return
        self._highest_owner = entry.owner
        self._floor = entry.floor if self._floor is None else max(self._floor, entry.floor)
        match entry.phase:
            case Phase.POSITION:
                return
            case Phase.INTENT:
                self._open[key] = entry
            case _:
                self._open.pop(key, None)
                self._remember(key, entry)

    def _remember(self, key: str, entry: LedgerEntry) -> None:
        self._finished[key] = entry
        self._finished.move_to_end(key)
        while len(self._finished) > self._kept:
            self._finished.popitem(last=False)

    def _forget(self) -> None:
        """Let the oldest go. What may be delivered again stays, whatever its age."""
        oldest_ms = self._clock() - self._kept_ms
        floor = self._floor or 0
        while self._finished:
            key, entry = next(iter(self._finished.items()))
            if entry.at >= oldest_ms or entry.offset >= floor:
                return
            del self._finished[key]
