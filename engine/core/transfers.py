"""What the transfer machine's guards ask and its effects do. A transfer is a child of the call with its own id."""

from typing import Any

from msgspec.structs import replace

from engine.core import destinations, flags, tasks
from engine.core.dialling import dial
from engine.core.legs import FAILURES
from engine.core.table import Act, Guard
from engine.core.turn import CALL, LEG, TASK, TRANSFER, Turn
from schemas.commands import Disposition, Release
from schemas.events import TransferEvent
from schemas.state import LIVE_LEG_STATES, Leg, LegState, Role, Transfer

TIMER = "transfer"
SETTLE_WITHIN_MS = 10_000


def current(turn: Turn) -> Transfer:
    """The transfer. Raises `LookupError` when there is none: nothing may move it then."""
    if turn.call.transfer is None:
        raise LookupError(TIMER)
    return turn.call.transfer


def change(turn: Turn, **changes: Any) -> None:  # noqa: ANN401 - fields of Transfer
    """Change fields of the transfer."""
    turn.set(transfer=replace(current(turn), **changes))


def tell(turn: Turn, name: str, **fields: Any) -> None:  # noqa: ANN401 - fields of TransferEvent
    """Emit an event about the transfer."""
    transfer = current(turn)
    leg = turn.find(transfer.leg)
    shown = {"leg": transfer.leg, "target": leg.target if leg else None, "reason": transfer.reason, **fields}
    turn.emit(
        name,
        TransferEvent(cause=turn.cause, transfer=transfer.transfer, mode=transfer.mode.value,
                      initiator=transfer.initiator, **shown),
    )  # fmt: skip


def _live(leg: Leg | None) -> bool:
    return leg is not None and leg.state in LIVE_LEG_STATES


def _initiator(turn: Turn) -> Leg | None:
    return turn.find(current(turn).initiator)


def flags_clear(turn: Turn, leg_id: str) -> bool:
    """Whether Twilio shows that neither customer nor initiator would end the room by leaving, now or soon."""
    legs = [leg for leg in (turn.customer, _initiator(turn)) if leg is not None]
    return not any(leg.observed.end_on_exit or flags.may_yet_end(turn, leg.leg) for leg in legs)


def initiator_present(turn: Turn, leg_id: str) -> bool:
    """Whether the initiator is in the room."""
    leg = _initiator(turn)
    return leg is not None and leg.state is LegState.JOINED


def target_gone(turn: Turn, leg_id: str) -> bool:
    """Whether no target is in the room or on the way."""
    return not _live(turn.find(current(turn).leg)) and not tasks.searching(turn, Role.TARGET)


def more_targets(turn: Turn, leg_id: str) -> bool:
    """Whether there is another target to try."""
    return current(turn).next < len(current(turn).targets)


def releases_on_ring(turn: Turn, leg_id: str) -> bool:
    """Whether the initiator goes as soon as the target rings."""
    return current(turn).release is Release.ON_RING


def _customer_unheld(turn: Turn) -> bool:
    customer = turn.customer
    return customer is not None and not customer.observed.hold and not customer.desired.hold


def handed_over(turn: Turn, leg_id: str) -> bool:
    """Whether customer and target are together, unheld, and the initiator has gone: all observed."""
    target = turn.find(current(turn).leg)
    together = turn.customer_present() and target is not None and target.state is LegState.JOINED
    unheld = _customer_unheld(turn) and not (target is not None and (target.observed.hold or target.desired.hold))
    return together and unheld and not _live(_initiator(turn))


def undone(turn: Turn, leg_id: str) -> bool:
    """Whether everything is as before: target gone, customer unheld, initiator there."""
    return target_gone(turn, leg_id) and _customer_unheld(turn) and initiator_present(turn, leg_id)


def blamed(turn: Turn, leg_id: str) -> bool:
    """Whether it is being undone because something failed, not because somebody cancelled."""
    return current(turn).reason is not None


def returned(turn: Turn, leg_id: str) -> bool:
    """Whether the customer is back with the initiator."""
    return current(turn).disposition is Disposition.RETURN and undone(turn, leg_id)


def return_lost(turn: Turn, leg_id: str) -> bool:
    """Whether the customer was to return to an initiator who has gone."""
    return current(turn).disposition is Disposition.RETURN and not initiator_present(turn, leg_id)


def sent_off(turn: Turn, leg_id: str) -> bool:
    """Whether the customer is with a recalled agent, or is hearing the goodbye."""
    transfer = current(turn)
    recalled = turn.find(transfer.recall_leg)
    if transfer.disposition is Disposition.RECALL:
        return recalled is not None and recalled.state is LegState.JOINED and _customer_unheld(turn)
    return transfer.disposition in {Disposition.ANNOUNCE_END, Disposition.VOICEMAIL, Disposition.REQUEUE}


def disarm(turn: Turn, leg_id: str) -> None:
    """Nothing is awaited that has a limit."""
    turn.disarm(TIMER)


def dial_target(turn: Turn, leg_id: str) -> None:
    """Dial the next target."""
    transfer = current(turn)
    target = transfer.targets[transfer.next]
    queue = tasks.queue_of(target)
    if queue is not None:
        task = tasks.search(turn, Role.TARGET, queue, ring_timeout_s=transfer.ring_timeout_s)
        change(turn, leg=None, task=task, next=transfer.next + 1)
    else:
        leg = dial(turn, Role.TARGET, target, ring_timeout_s=transfer.ring_timeout_s, early_media=True)
        change(turn, leg=leg, task=None, next=transfer.next + 1)
    tell(turn, "transfer.dialing", reason=None)


def release_at_once(turn: Turn, leg_id: str) -> None:
    """Let the initiator go before the target answers, if that was asked."""
    if current(turn).release is Release.NOW:
        release_initiator(turn, leg_id)


def release_initiator(turn: Turn, leg_id: str) -> None:
    """Take the initiator out."""
    leg = _initiator(turn)
    if leg is not None and _live(leg):
        turn.stimulate(LEG, "remove", leg.leg)


def hand_over(turn: Turn, leg_id: str) -> None:
    """Unhold the customer, release the initiator; both must be seen."""
    unhold_customer(turn, leg_id)
    release_initiator(turn, leg_id)


def unhold_customer(turn: Turn, leg_id: str) -> None:
    """The customer shall hear again."""
    customer = turn.customer
    if customer is not None and customer.state is LegState.JOINED:
        flags.unhold(turn, customer.leg)
    turn.arm(TIMER, SETTLE_WITHIN_MS)


def comfort(turn: Turn, leg_id: str) -> None:
    """The customer waits, alone or while the others talk: hold audio instead of silence."""
    customer = turn.customer
    if customer is not None and customer.state is LegState.JOINED:
        flags.hold(turn, customer.leg)


def drop_target(turn: Turn, leg_id: str) -> None:
    """Stop ringing the target, or take it out."""
    transfer = current(turn)
    leg = turn.find(transfer.leg)
    if leg is not None and _live(leg):
        turn.stimulate(LEG, "remove", leg.leg)
    if transfer.task is not None:
        turn.stimulate(TASK, "drop", transfer.task)


def undo(turn: Turn, leg_id: str) -> None:
    """Back to where it was."""
    drop_target(turn, leg_id)
    unhold_customer(turn, leg_id)


def adopt_target(turn: Turn, leg_id: str) -> None:
    """The target is the agent now; its leg keeps its id."""
    target = current(turn).leg
    if target is not None:
        address = turn.leg(target).target
        turn.update(target, role=Role.AI if address is not None and address.startswith("app:") else Role.AGENT)
    change(turn, reason=None)
    finish(turn, leg_id)


def finish(turn: Turn, leg_id: str) -> None:
    """The transfer is over; the call goes on with who is there."""
    turn.disarm(TIMER)
    turn.stimulate(CALL, "transfer_over")


def fall_back(turn: Turn, leg_id: str) -> None:
    """Nobody could be reached: do what was asked for this reason, as far as it can be done."""
    transfer = current(turn)
    wanted = transfer.on_failure.get(transfer.reason or "") or transfer.on_failure.get("default") or Disposition.RETURN
    if transfer.disposition is Disposition.RETURN or (
        wanted is Disposition.RETURN and not initiator_present(turn, leg_id)
    ):
        wanted = Disposition.RECALL
    change(turn, disposition=wanted)
    if wanted is Disposition.RETURN:
        unhold_customer(turn, leg_id)
    elif wanted is Disposition.RECALL:
        _recall(turn, leg_id)
    else:
        _send(turn, leg_id, wanted)


def _recall(turn: Turn, leg_id: str) -> None:
    initiator = _initiator(turn)
    if initiator is not None and initiator.state is LegState.JOINED:
        change(turn, disposition=Disposition.RETURN)
        unhold_customer(turn, leg_id)
        return
    comfort(turn, leg_id)
    recalled = destinations.recall(turn, initiator)
    if recalled is None:
        send_off(turn, leg_id)
    else:
        change(turn, recall_leg=recalled)


def send_off(turn: Turn, leg_id: str) -> None:
    """The last resort: an announcement, and the call ends."""
    _send(turn, leg_id, Disposition.ANNOUNCE_END)


def _send(turn: Turn, leg_id: str, disposition: Disposition) -> None:
    change(turn, disposition=disposition)
    release_initiator(turn, leg_id)
    if disposition is Disposition.ANNOUNCE_END:
        destinations.announce_end(turn)
    elif disposition is Disposition.VOICEMAIL:
        destinations.voicemail(turn)
    turn.stimulate(TRANSFER, "settled")


def tell_attempt_failed(turn: Turn, leg_id: str) -> None:
    """This target could not be reached."""
    leg, task = turn.find(leg_id), tasks.find(turn, current(turn).task)
    change(turn, reason=_attempt_reason(leg.reason if leg else (task.reason if task else None)))
    tell(turn, "transfer.attempt_failed")


def _attempt_reason(reason: str | None) -> str:
    return reason if reason in FAILURES else "failed"


def tell_arrival(turn: Turn, leg_id: str) -> None:
    """The target has come in while the initiator talks to the customer."""
    tell(turn, "transfer.target_arrived")


def keep_agents(turn: Turn, leg_id: str) -> None:
    """The customer has gone in the middle of a consult: the two may finish their talk, with a limit."""
    target = current(turn).leg
    if target is not None:
        turn.update(target, role=Role.AGENT)
        if turn.leg(target).desired.hold:
            flags.unhold(turn, target)


def tell_race(turn: Turn, leg_id: str) -> None:
    """The target came in while it was being cancelled."""
    tell(turn, "transfer.race", reason="cancel_vs_answer")


def look_up(turn: Turn, leg_id: str) -> None:
    """What is awaited has not been seen: look."""
    flags.look_up(turn)


def _blaming(reason: str) -> Act:
    def effect(turn: Turn, leg_id: str) -> None:
        change(turn, reason=reason)

    return effect


TRANSFER_GUARDS: dict[str, Guard] = {
    "flags_clear": flags_clear,
    "initiator_present": initiator_present,
    "target_gone": target_gone,
    "more_targets": more_targets,
    "releases_on_ring": releases_on_ring,
    "handed_over": handed_over,
    "undone": undone,
    "blamed": blamed,
    "returned": returned,
    "return_lost": return_lost,
    "sent_off": sent_off,
}
TRANSFER_EFFECTS: dict[str, Act] = {
    "disarm": disarm,
    "dial_target": dial_target,
    "release_at_once": release_at_once,
    "release_initiator": release_initiator,
    "hand_over": hand_over,
    "unhold_customer": unhold_customer,
    "comfort": comfort,
    "drop_target": drop_target,
    "undo": undo,
    "adopt_target": adopt_target,
    "finish": finish,
    "fall_back": fall_back,
    "send_off": send_off,
    "tell_attempt_failed": tell_attempt_failed,
    "tell_arrival": tell_arrival,
    "keep_agents": keep_agents,
    "tell_race": tell_race,
    "look_up": look_up,
    "blame_prepare": _blaming("prepare_failed"),
    "blame_cancel": _blaming("cancelled"),
    "blame_hub": _blaming("hub_ended"),
}
