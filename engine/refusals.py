"""Commands that were refused because their call was not there, remembered until it comes (docs/decisions/014).

A copy of such a command may arrive after the call has begun. It must get the answer that the first one got, so the call
is born with that answer. What is remembered follows from the inbox alone and is kept in the state like parked records.
"""

from collections.abc import Iterable

from engine.parking import Parked
from schemas.codec import decode_inbox
from schemas.records import Command


class Refusals:
    """By call, what was refused; `limit` in all."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._by_call: dict[str, dict[str, Command]] = {}
        self._count = 0

    def load(self, parked: Iterable[Parked]) -> None:
        """Take up what a former owner had remembered."""
        for item in parked:
            record = decode_inbox(item.raw)
            if isinstance(record, Command):
                self.add(record)

    @property
    def full(self) -> bool:
        """Whether no more can be remembered."""
        return self._count >= self._limit

    def add(self, command: Command) -> None:
        """Remember that it was refused."""
        of_call = self._by_call.setdefault(command.call_id, {})
        self._count += command.id not in of_call
        of_call[command.id] = command

    def of(self, call_id: str) -> tuple[Command, ...]:
        """What was refused of a call."""
        return tuple(self._by_call.get(call_id, {}).values())

    def drop(self, command: Command) -> None:
        """Forget one, if it is remembered."""
        of_call = self._by_call.get(command.call_id, {})
        if of_call.pop(command.id, None) is not None:
            self._count -= 1
            if not of_call:
                del self._by_call[command.call_id]
