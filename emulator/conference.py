"""The rules of a conference: who is in it, when it starts and ends, and what each change tells (twilio-facts.md 6).

Synchronous throughout: a change and its callbacks are one step. Sound is ``media.py``; legs are hung up by their own
scripts, which wait for ``Participant.gone``.
"""

import asyncio
from collections.abc import Iterable

from emulator import media, recording
from emulator.conference_events import emit
from emulator.entities import (
    Call,
    CallStatus,
    Conference,
    ConferenceStatus,
    Departure,
    JoinOptions,
    Participant,
    ParticipantStatus,
    RoomSettings,
)
from emulator.errors import EmulatorError
from emulator.payloads import departure_fields
from emulator.switches import FailedDial, Order
from emulator.world import World

ENOUGH_TO_START = 2
MAX_LABEL = 128
API_END = "conference-ended-via-api"
REASONS = {
    API_END: "Conference ended via API",
    "last-participant-left": "Last participant left",
    "last-participant-kicked": "Last participant kicked",
    "participant-with-end-conference-on-exit-left": "Participant with endConferenceOnExit left",
    "participant-with-end-conference-on-exit-kicked": "Participant with endConferenceOnExit kicked",
}


class LabelTakenError(EmulatorError):
    """Another active participant of the conference holds the label."""


class LabelInvalidError(EmulatorError):
    """Longer than 128, a Call SID, or with a slash."""


class RoomFullError(EmulatorError):
    """MaxParticipants is reached."""


def open_room(world: World, account_sid: str, name: str, settings: RoomSettings) -> Conference:
    """Return the active conference of that name; none: a new one, with the settings of its first participant."""
    room = world.active_room(account_sid, name)
    if room is not None:
        return room
    now = world.clock.now()
    room = Conference(
        sid=world.sids.new("CF"),
        account_sid=account_sid,
        name=name,
        settings=settings,
        created_at=now,
        updated_at=now,
        sequence=world.switches.u13_first_sequence_number,
    )
    world.add_room(room)
    return room


def discard(world: World, room: Conference) -> None:
    """Forget a conference that was opened for a participant who was then refused."""
    if not room.participants and not room.ever_joined:
        room.status = ConferenceStatus.COMPLETED
        world.close_room(room)
        world.conferences.pop(room.sid, None)


def check_label(world: World, room: Conference, label: str) -> None:
    """Refuse a label that is malformed or in use.

    Raises:
        LabelInvalidError: 16023 in TwiML, 16024 in REST.
        LabelTakenError: 16025 in TwiML, 16026 in REST.

    """
    if not label:
        return
    if len(label) > MAX_LABEL or "/" in label or "%2f" in label.lower() or label.startswith("CA") and len(label) == 34:  # noqa: PLR2004, RUF021 - a SID's length
        raise LabelInvalidError(label)
    early = world.switches.u18_label_reserved_while_ringing
    if any(other.label == label and (early or other.joined) for other in room.participants.values()):
        raise LabelTakenError(label)


def reserve(world: World, room: Conference, call: Call, options: JoinOptions, *, via_api: bool) -> Participant:
    """Give a call its place in the conference; it joins later, when it is answered.

    Raises:
        LabelInvalidError, LabelTakenError: see ``check_label``.
        RoomFullError: the conference is full.

    """
    check_label(world, room, options.label)
    first = world.switches.u23_max_participants == "first"
    if len(room.participants) >= (room.settings if first else options).max_participants:
        raise RoomFullError(room.sid)
    now = world.clock.now()
    participant = Participant(
        call=call,
        conference=room,
        label=options.label,
        via_api=via_api,
        muted=options.muted,
        start_on_enter=options.start_on_enter,
        end_on_exit=options.end_on_exit,
        coaching=options.coach_sid is not None,
        call_sid_to_coach=options.coach_sid,
        wait=options.wait,
        early_media=options.early_media,
        created_at=now,
        updated_at=now,
        gone=asyncio.get_running_loop().create_future(),
    )
    room.participants[call.sid] = participant
    call.participant = participant
    return participant


def join(world: World, participant: Participant) -> None:
    """Enter the conference; it starts with the second participant if one of them may start it."""
    room = participant.conference
    if participant.joined or participant.gone.done():
        return
    participant.joined = True
    participant.status = ParticipantStatus.CONNECTED
    participant.updated_at = room.updated_at = world.clock.now()
    room.ever_joined = True
    emit(world, room, "participant-join", participant)
    _start_if_ready(world, room)
    media.retune(world, room)


def _start_if_ready(world: World, room: Conference) -> None:
    present = room.joined()
    ready = len(present) >= ENOUGH_TO_START and any(participant.start_on_enter for participant in present)
    if room.status is ConferenceStatus.INIT and ready:
        room.status = ConferenceStatus.IN_PROGRESS
        emit(world, room, "conference-start")
        fault = world.faults.for_room(room.sid, room.name)
        if fault is not None:
            world.clock.call_later(fault.delay_s, lambda: end(world, room))
        if room.settings.record is not None:
            recording.start(world, room.settings.record, room=room)


def leave(world: World, participant: Participant, departure: Departure) -> None:
    """Take a participant out; the conference ends if it was the last one, or one that ends it on exit."""
    room = participant.conference
    if participant.gone.done():
        return
    _remove(world, participant, departure)
    if room.status is ConferenceStatus.COMPLETED:
        return
    manner = "kicked" if departure.kicked else "left"
    if participant.joined and participant.end_on_exit:
        reason = f"participant-with-end-conference-on-exit-{manner}"
        complete(world, room, reason, ender=participant, others="moderator_ended_conference")
    elif not room.participants:
        complete(world, room, f"last-participant-{manner}", ender=participant, others="")
    else:
        _release_coaches(world, room, participant)
        media.retune(world, room)


def _remove(world: World, participant: Participant, departure: Departure) -> None:
    room = participant.conference
    room.participants.pop(participant.call.sid, None)
    room.updated_at = participant.updated_at = world.clock.now()
    participant.status = ParticipantStatus.COMPLETE if participant.joined else ParticipantStatus.FAILED
    media.stop(participant)
    room.departed.append(participant)
    participant.gone.set_result(departure)
    if participant.call.participant is participant:
        participant.call.participant = None
    participant.call.was_in = room.name
    dial_policy = world.switches.u7_failed_dial
    if not participant.joined and dial_policy is FailedDial.NOTHING:
        return
    if not participant.joined and dial_policy is FailedDial.JOIN_AND_LEAVE:
        emit(world, room, "participant-join", participant)
    emit(world, room, "participant-leave", participant, departure_fields(departure))


def _release_coaches(world: World, room: Conference, gone: Participant) -> None:
    """U20: what a coach becomes when the coached leg has left."""
    if world.switches.u20_coach_left_alone == "silent":
        return
    for coach in room.joined():
        if coach.call_sid_to_coach == gone.call.sid:
            coach.coaching, coach.call_sid_to_coach = False, None
            coach.muted = coach.muted or world.switches.u20_coach_left_alone == "muted"


def complete(world: World, room: Conference, reason: str, *, ender: Participant | None, others: str) -> None:
    """End the conference for everybody. ``others`` is the ReasonParticipantLeft of those still in it."""
    if room.status is ConferenceStatus.COMPLETED:
        return
    loud = room.ever_joined or world.switches.u8_unanswered_conference_ends_loudly
    room.status = ConferenceStatus.COMPLETED
    room.reason_ended = reason
    room.call_sid_ending = ender.call.sid if ender else None
    world.close_room(room)
    recording.close(world, room.sid)
    order = world.switches.u10_conference_end
    end_first = order is Order.FIRST or (order is Order.RANDOM and world.sids.coin())
    if end_first and loud:
        _tell_end(world, room, ender)
    for participant in [*room.participants.values()]:
        _remove(world, participant, Departure(others, _status_after(participant), conference_over=True))
    if not end_first and loud:
        _tell_end(world, room, ender)


def end(world: World, room: Conference) -> None:
    """End a running conference for everybody, as the API does."""
    complete(world, room, API_END, ender=None, others="conference_ended_via_api")


def _status_after(participant: Participant) -> CallStatus:
    """A TwiML leg goes on with its document, a leg of the Participants API is hung up."""
    if not participant.joined:
        return CallStatus.CANCELED
    return CallStatus.COMPLETED if participant.via_api else CallStatus.IN_PROGRESS


def _tell_end(world: World, room: Conference, ender: Participant | None) -> None:
    reason = room.reason_ended or ""
    extra = {"ReasonConferenceEnded": reason, "Reason": REASONS[reason]}
    if ender is not None:
        extra["CallSidEndingConference"] = ender.call.sid
        if ender.label:
            extra["ParticipantLabelEndingConference"] = ender.label
    emit(world, room, "conference-end", None, extra)


def kick(world: World, participant: Participant) -> None:
    """Remove a participant as DELETE does (U16, U17)."""
    stays = not participant.via_api and world.switches.u17_kicked_twiml_leg_continues
    status = CallStatus.IN_PROGRESS if stays else CallStatus.COMPLETED
    leave(world, participant, Departure(world.switches.u16_delete_reason, status, kicked=True))


def set_hold(world: World, participant: Participant, *, hold: bool) -> None:
    """Hold or unhold; music follows, the event comes on a change only."""
    if participant.hold is hold:
        return
    participant.hold = hold
    if not hold and not world.switches.u19_mute_survives_hold:
        participant.muted = False
    emit(world, participant.conference, "participant-hold" if hold else "participant-unhold", participant)


def set_muted(world: World, participant: Participant, *, muted: bool) -> None:
    """Mute or unmute; the event comes on a change only."""
    if participant.muted is not muted:
        participant.muted = muted
        emit(world, participant.conference, "participant-mute" if muted else "participant-unmute", participant)


def changed(world: World, participant: Participant, *, modified: bool) -> None:
    """Finish an update: tell ``participant-modify`` once, and let everybody hear what they hear now."""
    participant.updated_at = world.clock.now()
    if modified:
        emit(world, participant.conference, "participant-modify", participant)
    media.retune(world, participant.conference)


def find(room: Conference, key: str) -> Participant | None:
    """Return the active participant with this CallSid or label."""
    return room.participants.get(key) or _labelled(room.participants.values(), key)


def _labelled(participants: Iterable[Participant], label: str) -> Participant | None:
    return next((participant for participant in participants if participant.label == label), None)
