"""Deliberate bugs, each put in by a patch for the time of a run: whoever does not catch them proves nothing.

Each is one line of code that somebody might write. `caught_by` names the invariants of which at least one must object.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import msgspec

from actions import perform
from actions.lanes import Lanes
from actions.ledger import Ledger
from actions.outcome import Doubtful, Retry, judge
from actions.perform import Performance
from cordboard.errors import LogError, LogUnavailableError
from cordboard.log.memory import MemoryLog
from cordboard.log.port import Entry
from engine import upkeep
from engine.core import answers, facts, flags, machines, timers
from engine.core.transfers import flags_clear
from engine.core.turn import CALL, LEG, Turn
from engine.partition import EnginePartition
from engine.publisher import Publisher
from engine.recovery import Recovered
from engine.router import _Source
from ingress import handling
from ingress.lane import NotDurableError
from ingress.recorder import Recorder
from schemas.records import TimerDue
from schemas.topics import Topic
from simulation import bugs_rooms, bugs_sleep, bugs_spool
from simulation.plan import Effect, Fault, Where

Patch = tuple[object, str, object]


class Bug(msgspec.Struct, frozen=True):
    """A named mutation: `patches` gives what replaces what, `faults` are added to every plan."""

    name: str
    caught_by: tuple[str, ...]
    patches: Callable[[], Sequence[Patch]]
    faults: tuple[Fault, ...] = ()


@contextmanager
def planted(bug: Bug) -> Iterator[None]:
    """Run with the bug in."""
    with ExitStack() as stack:
        for target, name, value in bug.patches():
            stack.enter_context(patch.object(target, name, value))
        yield


# The engine's shell


def _publish_before_ack() -> Sequence[Patch]:
    """Actions and events leave before the state that wants them is durable."""

    async def carry_out(self: Any, batch: Any, fenced: Any) -> None:
        if batch.last_offset is None:
            return
        both = ((Topic.ACTIONS, batch.actions), (Topic.EVENTS, batch.events))
        await self._publisher.publish_all(both)
        await self._append(batch.state, fenced)
        self._covered = self._published = batch.last_offset
        self._follow(batch)

    return [(EnginePartition, "_carry_out", carry_out)]


def _restored(change: Callable[[Any], None]) -> Sequence[Patch]:
    original = EnginePartition.restore

    async def restore(self: EnginePartition, fenced: Any) -> int | None:
        await original(self, fenced)
        change(self)
        return self.covered()

    return [(EnginePartition, "restore", restore)]


def _applies_the_last_again() -> Sequence[Patch]:
    """After a take-over the record that the state covers is applied once more."""

    def back(partition: Any) -> None:
        if partition._covered >= 0:
            partition._covered -= 1
            partition._applier.next_offset -= 1

    return _restored(back)


def _skips_one() -> Sequence[Patch]:
    """After a take-over the first record that is not covered is passed over."""

    def on(partition: Any) -> None:
        partition._covered += 1
        partition._applier.next_offset += 1

    return _restored(on)


def _forgets_timers() -> Sequence[Patch]:
    """The heap of timers is not built anew after a take-over."""

    def forget(partition: Any) -> None:
        partition._timers._heap.clear()

    return _restored(forget)


def _pending_not_published_again() -> Sequence[Patch]:
    """What was pending at a crash is not published by the successor."""

    async def publish_again(self: Any, recovered: Any) -> tuple[int, int]:  # noqa: ARG001 as the method that it replaces
        return 0, 0

    return [(EnginePartition, "_publish_again", publish_again)]


def _outbox_not_published_again() -> Sequence[Patch]:
    """Events and results that a crash kept back stay back."""
    return [(Recovered, "unpublished", lambda _self: iter(()))]


def _gives_up_publishing() -> Sequence[Patch]:
    """A publication that fails is logged and forgotten."""

    async def publish(self: Any, topic: Topic, entries: Sequence[Entry]) -> None:
        if entries:
            try:
                await self._log.publish(topic, entries)
            except LogUnavailableError:
                return

    return [(Publisher, "publish", publish)]


def _timer_fires_early() -> Sequence[Patch]:
    """A timer record is made a second before its time."""
    original = upkeep.Upkeep._due_records

    def due_records(self: Any, now_ms: int) -> list[Entry]:
        entries = [self._timer_record(timer, now_ms) for timer in self._timers.take_due(now_ms + 1000, 500)]
        return [*entries, *original(self, now_ms)]

    def wait(_: Any) -> Any:
        return asyncio.sleep(0.5)

    return [(upkeep.Upkeep, "_due_records", due_records), (upkeep.Upkeep, "_wait", wait)]


# The core


def _timer_stays() -> Sequence[Patch]:
    """A timer that has fired stays in the state, and every refiring has its effect."""

    def apply(turn: Turn, record: TimerDue) -> None:
        if record.name.startswith(timers.LEG_PREFIX):
            turn.stimulate(LEG, "overdue", record.name.removeprefix(timers.LEG_PREFIX))
        elif record.name in timers._CALL_TRIGGERS:
            turn.stimulate(CALL, timers._CALL_TRIGGERS[record.name], "")
        else:
            timers._other(turn, record.name)

    return [(timers, "apply", apply)]


def _command_carried_out_twice() -> Sequence[Patch]:
    """A repeated command is taken for a new one."""
    return [(answers, "repeated", lambda _turn, _command: False)]


def _end_on_exit_not_cleared() -> Sequence[Patch]:
    """A transfer does not see to it first that nobody ends the room by leaving."""
    table = {
        pair: tuple(arc._replace(guards=tuple(g for g in arc.guards if g[0] is not flags_clear)) for arc in arcs)
        for pair, arcs in machines.TRANSFER_TABLE.items()
    }
    return [(machines, "TRANSFER_TABLE", table), (flags, "let_go", lambda _turn, _leg: None)]


def _old_events_count() -> Sequence[Patch]:
    """A conference event that was overtaken is taken for the latest."""
    return [(facts, "_stale", lambda _leg, _form: False)]


def _never_looks() -> Sequence[Patch]:
    """Nothing is looked up: what no callback said is never known."""
    return [(flags, "look_up", lambda _turn: None)]


# The workers


def _no_intent() -> Sequence[Patch]:
    """A request leaves without an intent in the ledger."""

    async def intend(self: Any, action: Any, **_: Any) -> None:  # noqa: ARG001 as the method that it replaces
        await asyncio.sleep(0)

    return [(Ledger, "intend", intend)]


def _result_not_in_ledger() -> Sequence[Patch]:
    """A result is reported and not written down."""

    async def finish(self: Any, report: Any, **_: Any) -> None:  # noqa: ARG001 as the method that it replaces
        await asyncio.sleep(0)

    return [(Ledger, "finish", finish)]


def _blind_resend() -> Sequence[Patch]:
    """A creation in doubt is simply sent again."""

    def blind(verb: Any, heard: Any, **about: Any) -> Any:
        verdict = judge(verb, heard, **about)
        if isinstance(verdict, Doubtful):
            return Retry(not_before_ms=about["now_ms"] + 300, reason=verdict.reason, sent=True)
        return verdict

    return [(perform, "judge", blind)]


def _deadline_ignored() -> Sequence[Patch]:
    """Late is better than never."""

    async def attempt(self: Any, *, emptying: bool = False) -> Any:
        far = self._pauses.now() + 600_000
        await self._gate.enter(self._pauses, far, creating=False)
        try:
            await self._intend(self._attempts + 1)
            self._pauses.require_open()
            return await self._send(emptying=emptying)
        finally:
            self._gate.leave()

    return [(Performance, "_try", attempt)]


def _calls_not_in_lanes() -> Sequence[Patch]:
    """The actions of one call are carried out at the same time."""
    original = Lanes.put

    async def put(self: Any, key: str, item: Any) -> None:
        await original(self, f"{key}-{item.offset}", item)

    return [(Lanes, "put", put)]


# The edges and the log


def _acknowledged_before_durable() -> Sequence[Patch]:
    """Twilio hears 2xx whatever the log says."""
    original = Recorder._publish

    async def publish(self: Any, lane: Any, entries: Any, **_: Any) -> None:
        try:
            await original(self, lane, entries)
        except NotDurableError:
            return

    return [(Recorder, "_publish", publish)]


def _commits_before_routing() -> Sequence[Patch]:
    """The router commits first and publishes then."""

    async def route(self: Any, records: Any) -> None:
        inbox, letters = self._router.convert(records)
        self._next = records[-1].offset + 1
        self.in_hand = 0
        await self._commit()
        await self._publisher.publish_all(((Topic.INBOX, inbox), (Topic.DEAD_LETTERS, letters)))
        (await self._router.subscription()).resume((self.partition,))

    return [(_Source, "_route", route)]


def _stale_owner_not_fenced() -> Sequence[Patch]:
    """The log takes appends of whoever has owned the partition once."""
    return [(MemoryLog, "_require_owner", lambda *_: None)]


def _failed_append_taken_for_good() -> Sequence[Patch]:
    """An append that failed is not noticed."""

    async def append(_: Any, entries: Any, fenced: Any) -> None:
        try:
            await fenced.append(entries)
        except LogError:
            return

    return [(EnginePartition, "_append", append)]


def _numbers_in_logs() -> Sequence[Patch]:
    """Who calls is logged in clear."""
    return [(handling, "masked", lambda address: address)]


_DEAF = tuple(Fault(Where.CALLBACK, Effect.LOST, nth) for nth in range(6, 16))
"""Ten callbacks in a row are lost."""
_OVERTAKEN = tuple(Fault(Where.CALLBACK, Effect.DELAY, nth, seconds=5.0) for nth in range(7, 30, 3))
"""Every third callback comes late."""
_UNANSWERED = tuple(Fault(Where.REST, Effect.RESET_AFTER, nth) for nth in range(1, 20, 2))
"""Every other request is carried out and not answered."""

BUGS: tuple[Bug, ...] = (
    Bug("publish_before_ack", ("i18_",), _publish_before_ack),
    Bug("applies_the_last_again", ("i02_", "i11_"), _applies_the_last_again),
    Bug("skips_one", ("i02_", "i11_", "i15_"), _skips_one),
    Bug("forgets_timers", ("i09_", "i17_"), _forgets_timers),
    Bug("pending_not_published_again", ("i04_",), _pending_not_published_again),
    Bug("outbox_not_published_again", ("i10_",), _outbox_not_published_again),
    Bug("gives_up_publishing", ("i04_", "i10_"), _gives_up_publishing),
    Bug("timer_fires_early", ("i09_",), _timer_fires_early),
    Bug("timer_stays", ("i09_",), _timer_stays),
    Bug("command_carried_out_twice", ("i10_",), _command_carried_out_twice),
    Bug("end_on_exit_not_cleared", ("i16_",), _end_on_exit_not_cleared),
    Bug("old_events_count", ("i15_", "i17_"), _old_events_count, _OVERTAKEN),
    Bug("never_looks", ("i15_", "i17_"), _never_looks, _DEAF),
    Bug("no_intent", ("i05_",), _no_intent),
    Bug("result_not_in_ledger", ("i04_", "i05_"), _result_not_in_ledger),
    Bug("blind_resend", ("i05_",), _blind_resend, _UNANSWERED),
    Bug("deadline_ignored", ("i06_",), _deadline_ignored),
    Bug("sends_after_sleeping", ("i05_",), bugs_sleep.sends_after_sleeping, bugs_sleep.SLEEPS),
    Bug("calls_not_in_lanes", ("i07_",), _calls_not_in_lanes),
    Bug("acknowledged_before_durable", ("i01_",), _acknowledged_before_durable),
    Bug("commits_before_routing", ("i10_",), _commits_before_routing),
    Bug("stale_owner_not_fenced", ("i02_", "i03_"), _stale_owner_not_fenced),
    Bug("failed_append_taken_for_good", ("i02_", "i11_", "i10_"), _failed_append_taken_for_good),
    Bug("nobody_is_rescued", ("i20_",), bugs_rooms.nobody_is_rescued, bugs_rooms.LOST),
    Bug("refused_again_is_carried_out", ("i10_",), bugs_rooms.refused_again_is_carried_out, bugs_rooms.LATE),
    Bug("numbers_in_logs", ("i12_",), _numbers_in_logs),
    Bug("spool_answers_before_fsync", ("i01_",), bugs_spool.answers_before_fsync, bugs_spool.DIES_WRITING),
    Bug("spool_forgotten_at_restart", ("i01_", "i10_"), bugs_spool.forgotten_at_restart, bugs_spool.CUT_AND_KILLED),
    Bug("overtakes_the_spool", ("i19_",), bugs_spool.overtakes_the_spool, bugs_spool.CUT),
    Bug("removed_before_in_the_log", ("i01_",), bugs_spool.removed_before_it_is_in_the_log, bugs_spool.CUT),
    Bug("spool_ends_too_soon", ("i01_", "i10_", "i19_"), bugs_spool.ends_with_records_on_their_way, bugs_spool.CUT),
)
