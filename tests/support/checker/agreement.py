"""What Cordboard and Twilio show of the same calls at one moment, and where they differ."""

from collections.abc import Iterator, Mapping

from schemas.state import Call, CallState, LegState
from schemas.task_states import OPEN_TASK_STATES

Place = tuple[bool, bool, bool]
"""Somebody in a room: hold, muted, end on exit."""


class Agreement:
    """What both sides showed when everything had healed and before everybody was sent home.

    `lines`: by call, the Twilio calls that are not over, by SID, with what each of them is. `places`: by room and
    CallSid, who is in. Not by label: a second call may come under one.
    """

    def __init__(
        self, at_ms: int, calls: Mapping[str, Call], lines: Mapping[str, Mapping[str, str]],
        places: Mapping[str, Mapping[str, Place]],
    ) -> None:  # fmt: skip
        self.at_ms = at_ms
        self.calls = calls
        self.lines = lines
        self.places = places

    def disagreements(self) -> Iterator[str]:
        """Where the two differ."""
        for call_id in self.differing():
            yield from self.about(call_id)

    def differing(self) -> list[str]:
        """The calls of which they show something else."""
        return [call_id for call_id in {**self.calls, **self.lines} if any(self.about(call_id))]

    def about(self, call_id: str) -> Iterator[str]:
        """What is different about one call."""
        call, lines = self.calls.get(call_id), self.lines.get(call_id, {})
        if call is None:
            if lines:
                yield f"{call_id[-8:]} is unknown and at Twilio there is {sorted(lines.values())}"
            return
        if call.state is CallState.ENDED and lines:
            yield f"{call_id[-8:]} has ended and at Twilio there is still {sorted(lines.values())}"
        if call.state is not CallState.ENDED and not lines and not _is_written_up(call):
            yield f"{call_id[-8:]} is {call.state.value} and nobody is left at Twilio"
        if call.state is not CallState.ENDED:
            yield from _same_legs(call, self.places.get(call.room.name, {}))


def _is_written_up(call: Call) -> bool:
    """Whether only a worker of TaskRouter has still to do with it, and nobody is on the line."""
    return call.state is CallState.WRAP_UP and any(task.state in OPEN_TASK_STATES for task in call.tasks)


def _same_legs(call: Call, places: Mapping[str, Place]) -> Iterator[str]:
    shown = {sid[-8:]: place for sid, place in places.items()}
    ours = {
        (leg.call_sid or leg.leg)[-8:]: (leg.observed.hold, leg.observed.muted, leg.observed.end_on_exit)
        for leg in call.legs
        if leg.state is LegState.JOINED
    }
    if ours != shown:
        yield f"{call.call_id[-8:]} {call.state.value}: we see {ours}, Twilio has {shown} (hold, muted, end on exit)"
    for leg in call.legs:
        if leg.state is LegState.JOINED and leg.desired != leg.observed:
            yield f"{call.call_id[-8:]}: {leg.leg} is wanted {leg.desired} and seen {leg.observed}"
