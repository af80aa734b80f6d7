"""Where a customer goes whom nobody can serve: a goodbye, a voicemail, another target, the queue once more.

The words are those of the policy (contracts.md section 6). A goodbye and a voicemail are heard outside the room: the
customer's own Twilio call is redirected, and ends with them.
"""

from engine.core import flags, tasks
from engine.core.dialling import dial, role_of
from engine.core.turn import CALL, LEG, TALKING_ROLES, Turn
from schemas.actions import RedirectCall
from schemas.prompts import GOODBYE, LEAVE_A_MESSAGE, Prompt, prompt_of
from schemas.state import Leg, LegState, Role

WAIT = "max_wait"
END = "end"
END_WITHIN_MS = 10_000
SENT_OFF_WITHIN_MS = 30_000
ANNOUNCE_END, VOICEMAIL, REQUEUE = "announce_end", "voicemail", "requeue"


def send(turn: Turn, where: str) -> None:
    """Send the customer where the policy says: `announce_end`, `voicemail`, `requeue` or a target."""
    if where == ANNOUNCE_END:
        announce_end(turn)
    elif where == VOICEMAIL:
        voicemail(turn)
    elif where == REQUEUE:
        turn.stimulate(CALL, REQUEUE)
    else:
        overflow(turn, where)


def announce_end(turn: Turn) -> None:
    """The customer hears a goodbye, and the call ends with it."""
    _redirect(turn, GOODBYE, voicemail=False)


def voicemail(turn: Turn) -> None:
    """The customer may leave a message, and the call ends with it."""
    _redirect(turn, LEAVE_A_MESSAGE, voicemail=True)


def _redirect(turn: Turn, prompt: Prompt, *, voicemail: bool) -> None:
    customer = turn.customer
    present = customer is not None and customer.state in {LegState.JOINED, LegState.ANSWERED}
    if customer is None or customer.call_sid is None or not (present or tasks.queued(turn)):
        turn.stimulate(CALL, "end_asked")
        return
    if turn.call.reason is None:
        turn.set(reason=VOICEMAIL if voicemail else ANNOUNCE_END)
    send_off(turn, customer, prompt, voicemail=voicemail)


def send_off(turn: Turn, leg: Leg, prompt: Prompt, *, voicemail: bool) -> None:
    """Take a leg out of the room for the last that it hears."""
    turn.update(leg.leg, ours=True)
    call = turn.call
    turn.request(
        RedirectCall(id=turn.next_action_id(), call_id=call.call_id, account_sid=call.account_sid, at=turn.at,
                     deadline=turn.at + flags.FLAGS_WITHIN_MS, leg=leg.leg, call_sid=leg.call_sid or "",
                     announce=prompt, voicemail=voicemail)
    )  # fmt: skip
    turn.arm(END, SENT_OFF_WITHIN_MS)


def overflow(turn: Turn, target: str) -> None:
    """One more target, for whom the wait may last as long as it rings; after that a goodbye."""
    if turn.call.overflowed or not nobody_coming(turn):
        announce_end(turn)
        return
    turn.set(overflowed=True)
    queue, whisper = tasks.queue_of(target), prompt_of(turn.call.policy.whisper)
    if queue is not None:
        tasks.search(turn, Role.AGENT, queue, whisper=whisper)
        turn.arm(WAIT, tasks.SEARCH_WITHIN_MS + SENT_OFF_WITHIN_MS)
        return
    leg = dial(turn, role_of(target), target, whisper=whisper)
    turn.arm(WAIT, turn.leg(leg).ring_timeout_s * 1000 + SENT_OFF_WITHIN_MS)


def requeue(turn: Turn) -> None:
    """Back to the queue: agents who are still there leave, and the route begins again."""
    for leg in turn.live():
        if leg.role in TALKING_ROLES:
            turn.stimulate(LEG, "remove", leg.leg)
    customer = turn.customer
    if customer is not None and customer.state is LegState.JOINED:
        flags.hold(turn, customer.leg, turn.call.policy.wait_audio)
    turn.set(routed=0, overflowed=False)


def nobody_coming(turn: Turn) -> bool:
    """Whether no agent is in the room or on the way to it."""
    coming = any(leg.role in TALKING_ROLES and leg.state is not LegState.LEAVING for leg in turn.live())
    return not coming and not tasks.searching(turn, Role.AGENT)


def recall(turn: Turn, former: Leg | None) -> str | None:
    """Dial somebody again who was in the call; the new leg's id, or None when there is no address to dial."""
    if former is None or former.target is None:
        return None
    return dial(turn, role_of(former.target), former.target)


def last_agent(turn: Turn) -> Leg | None:
    """The agent who was in the room last and can be dialled again."""
    agents = [leg for leg in turn.call.legs if leg.role in TALKING_ROLES and leg.joined_at is not None and leg.target]
    return agents[-1] if agents else None
