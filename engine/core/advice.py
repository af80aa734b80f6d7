"""What is said with a refusal: what is in the way, and what would be taken instead (issue of the flows, bad input)."""

from collections.abc import Callable

from engine.core import machines
from engine.core.assistants import MOST_CHARACTERS
from engine.core.supervisions import MOST_ACTIVE, active
from engine.core.tables.commands import allowed_in
from engine.core.turn import Turn
from schemas.commands import SupervisionMode, TransferMode

_USELESS: dict[TransferMode, tuple[str, ...]] = {
    TransferMode.COLD: ("transfer.swap", "transfer.merge"),
    TransferMode.CONSULT: ("transfer.complete", "transfer.merge"),
}
TRANSFER = "transfer."
NOT_A_PERSON = "a queue is no person: expected phone:, sip:, client: or app:"
CONTEXT_TOO_LARGE = f"an app: target takes at most {MOST_CHARACTERS} characters once its context is URL-encoded"
WORDS = {
    "busy": "a change is under way: wait for its result",
    "consult_only": "mode consult is talk and return: expected transfer.cancel or transfer.swap",
    "context_too_large": CONTEXT_TOO_LARGE,
    "leaving": "it is on its way out",
    "not_a_person": NOT_A_PERSON,
    "not_barged": "expected a supervisor in mode barge: supervision.switch first",
    "not_consulting": "mode cold has no talk before: expected transfer.complete or transfer.cancel",
    "taskrouter_not_configured": "queues need CORDBOARD_TASKROUTER_WORKSPACE and CORDBOARD_TASKROUTER_WORKFLOW",
    "too_many_supervisors": f"at most {MOST_ACTIVE} at a time",
}


def allowed(turn: Turn) -> tuple[str, ...]:
    """The commands that the call takes as it is; of those that steer a transfer, what its mode and state take."""
    return tuple(name for name in allowed_in(turn.call) if not name.startswith(TRANSFER) or _steers(turn, name))


def _steers(turn: Turn, name: str) -> bool:
    transfer = turn.call.transfer
    useless = _USELESS.get(transfer.mode, ()) if transfer is not None else ()
    return name not in useless and machines.transfer_takes(turn, name.removeprefix(TRANSFER))


def on(turn: Turn, reason: str) -> str | None:
    """What to say with a reason that speaks not for itself, or None."""
    tell = TOLD.get(reason)
    return tell(turn) if tell is not None else WORDS.get(reason)


def _legs(turn: Turn) -> str:
    return "there are " + (", ".join(f"{leg.leg} ({leg.state.value})" for leg in turn.live()) or "no legs")


def _recording(turn: Turn) -> str:
    return f"the recording is {turn.call.recording.state.value}"


def _transfer(turn: Turn) -> str:
    return f"the transfer under way is {turn.call.transfer.transfer}" if turn.call.transfer is not None else "none"


def _rights(turn: Turn) -> str:
    rights = turn.call.policy.supervision
    shown = (f"{mode.value} to {', '.join(getattr(rights, mode.value)) or 'nobody'}" for mode in SupervisionMode)
    return "the policy allows " + "; ".join(shown)


def _supervisors(turn: Turn) -> str:
    there = (f"{item.supervisor} ({item.state.value})" for item in active(turn))
    return "there supervise " + (", ".join(there) or "nobody")


TOLD: dict[str, Callable[[Turn], str]] = {
    **dict.fromkeys(
        ("unknown_leg", "ambiguous_leg", "leg_not_joined", "not_an_agent", "no_agent", "ambiguous_agent",
         "no_initiator", "ambiguous_initiator", "no_customer", "coached_on_hold", "room_not_started", "nobody_there"),
        _legs,
    ),
    **dict.fromkeys(("not_recording", "not_paused", "recording_paused", "recording_stopping"), _recording),
    **dict.fromkeys(("already_supervising", "not_supervising"), _supervisors),
    "no_such_transfer": _transfer,
    "not_permitted": _rights,
}  # fmt: skip
