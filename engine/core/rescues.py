"""A conference that has ended although nobody here wanted it to: its people go on in a fresh one.

Guards and effects of the call and leg machines, like those in `calls` and `legs`. Everybody whose call may still be up
is let into the next room of the call by redirecting that call. Twilio's answer is the proof: whose call is over cannot
be redirected, and has left. Nobody is dialled for it; an agent who was hung up with the room is one who has gone, and
the policy for orphans says what then.
"""

from engine.core import flags
from engine.core.dialling import leg_timer
from engine.core.table import Act, Guard
from engine.core.turn import CALL, LEG, TRANSFER, Turn
from schemas.actions import RejoinRoom
from schemas.ids import FIRST_ROOM, room_of
from schemas.records import Observation
from schemas.routes import OUT_OF_ROOM_S
from schemas.state import NO_FLAGS, CallState, Direction, Leg, LegState, Role, Room
from schemas.webhooks import ConferenceEvent

MOST_ROOMS = 4
"""A call has three rescues: what ends its conference a fourth time will end the next one too."""
RETURN_WITHIN_MS = 20_000
HUB_ENDED = "hub_ended"
_TAKEN_ALONG = frozenset({Role.CUSTOMER, Role.AGENT, Role.AI, Role.THIRD})
_OVER = frozenset({CallState.WRAP_UP, CallState.ENDED})
_LIVE = frozenset({"init", "in-progress"})
_UP = "in-progress"
_BY_API = frozenset({None, "conference-ended-via-api"})
_LAST = "last-participant-"


def _in_hand(turn: Turn, leg: Leg | None) -> bool:
    """Whether somebody is in the room, or has answered and is on the way; a caller is from the first word on."""
    if leg is None or leg.ours or leg.call_sid is None:
        return False
    calls = leg.role is Role.CUSTOMER and turn.call.direction is Direction.INBOUND and leg.state is LegState.RINGING
    return calls or leg.state in {LegState.JOINED, LegState.ANSWERED}


def returns(leg: Leg) -> bool:
    """Whether the leg has lost its room and is on its way to the next."""
    return leg.state is LegState.ANSWERED and leg.joined_at is not None


def rescuable(turn: Turn, leg_id: str = "") -> bool:
    """Whether the customer is to go on in another room."""
    call = turn.call
    begun = call.state not in _OVER and _in_hand(turn, turn.customer)
    return begun and not call.room.ending and call.room.generation < MOST_ROOMS


def is_former(turn: Turn, form: ConferenceEvent) -> bool:
    """Whether a conference is one that the call has left behind, or was opened by a straggler under its name."""
    room = turn.call.room
    names = (room_of(turn.call.call_id, generation) for generation in range(FIRST_ROOM, room.generation))
    return form.conference_sid in room.former or form.friendly_name in names


def lost_by(turn: Turn, form: ConferenceEvent) -> bool:
    """Whether this `conference-end` tells of a conference that nobody here wanted to end.

    Not one that we have ended, whose last participant has left, or that was to end with the one who left.
    """
    why = form.reason_conference_ended
    if turn.call.room.ending or (why or "").startswith(_LAST):
        return False
    if why in _BY_API and not form.call_sid_ending_conference:
        return True
    return not _ends_with_somebody(turn)


def lost_with(turn: Turn, form: ConferenceEvent) -> bool:
    """The same of a `participant-leave`, which may be faster than the conference's own end."""
    if turn.call.room.ending:
        return False
    why = form.reason_participant_left
    return why == "conference_ended_via_api" or (why == "moderator_ended_conference" and not _ends_with_somebody(turn))


def _ends_with_somebody(turn: Turn) -> bool:
    return any(leg.desired.end_on_exit for leg in turn.call.legs)


def vanished(turn: Turn, seen: Observation, since: int) -> bool:
    """Whether a look asked for at `since` (ms) shows the customer's call up and the conference gone."""
    customer = turn.customer
    if customer is None or customer.state is not LegState.JOINED or not rescuable(turn):
        return False
    if customer.heard_at is not None and customer.heard_at >= since:
        return False
    up = any(call.call_sid == customer.call_sid and call.status == _UP for call in seen.calls)
    return up and seen.conference_status not in _LIVE and not seen.participants


def lose(turn: Turn) -> None:
    """The conference is gone: a transfer in it has failed, and the call goes where its table says."""
    turn.stimulate(TRANSFER, HUB_ENDED)
    turn.stimulate(CALL, "hub_lost")


def rescue(turn: Turn, leg_id: str) -> None:
    """On to the next room: everybody who was in, except supervisors and targets, whose business has ended with it."""
    room = turn.call.room
    generation = room.generation + 1
    former = (*room.former, room.sid) if room.sid is not None else room.former
    turn.set(room=Room(room_of(turn.call.call_id, generation), generation=generation, former=former))
    for leg in turn.live():
        goes_on = leg.role in _TAKEN_ALONG and _in_hand(turn, leg)
        turn.stimulate(LEG, "rescued" if goes_on else HUB_ENDED, leg.leg)


def leave_behind(turn: Turn, leg_id: str) -> None:
    """Nothing of the old room is true any more. Looks that were asked for before this show the old room."""
    flags.tell_hold_ended(turn, leg_id)
    turn.update(
        leg_id, conference_sid=None, heard=-1, heard_at=turn.at, observed=NO_FLAGS, desired=NO_FLAGS, doubts=0,
        reason=HUB_ENDED,
    )  # fmt: skip


def rejoin(turn: Turn, leg_id: str) -> None:
    """Redirect its call into the room of now, while our TwiML keeps it on the line."""
    leg, call = turn.leg(leg_id), turn.call
    turn.request(
        RejoinRoom(id=turn.next_action_id(), call_id=call.call_id, account_sid=call.account_sid, at=turn.at,
                   deadline=turn.at + OUT_OF_ROOM_S * 1000, leg=leg_id, call_sid=leg.call_sid or "",
                   room=call.room.name, wait_audio=call.policy.wait_audio)
    )  # fmt: skip
    turn.arm(leg_timer(leg_id), RETURN_WITHIN_MS)


def in_fresh_room(turn: Turn) -> bool:
    """Whether the customer is in the room of now, and not still in one that has just been lost."""
    customer = turn.customer
    return customer is not None and turn.customer_present() and customer.conference_sid not in turn.call.room.former


def blame_room(turn: Turn, leg: Leg) -> None:
    """The customer's call is over, as Twilio says when it is to be redirected: it ended with the room."""
    if leg.role is Role.CUSTOMER and turn.call.reason is None:
        turn.set(reason=HUB_ENDED)


def tell_return(turn: Turn, leg: Leg) -> None:
    """The customer is in the fresh room."""
    if leg.role is Role.CUSTOMER and leg.reason == HUB_ENDED:
        turn.tell_call("call.rescued", leg=leg.leg, room=turn.call.room.name, reason=HUB_ENDED)


RESCUE_GUARDS: dict[str, Guard] = {"rescuable": rescuable}
RESCUE_EFFECTS: dict[str, Act] = {"rescue": rescue}
RESCUED_EFFECTS: dict[str, Act] = {"leave_behind": leave_behind, "rejoin": rejoin}
