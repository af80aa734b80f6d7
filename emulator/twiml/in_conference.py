"""``<Dial><Conference>``: a call takes its place in a conference and stays until it is out of it."""

import asyncio

from emulator import call as calls
from emulator import conference
from emulator.entities import (
    Call,
    CallStatus,
    Conference,
    Departure,
    JoinOptions,
    Participant,
    RecordingWish,
    RoomSettings,
    Source,
    Subscription,
)
from emulator.errors import Alert, DocumentError
from emulator.sids import is_sid
from emulator.twiml.digits import action, drain, key
from emulator.twiml.document import Document
from emulator.twiml.verbs import ConferenceNoun, Dial
from emulator.world import World


async def dial(world: World, call: Call, document: Document, verb: Dial, noun: ConferenceNoun) -> Source | None:
    """Join the conference, stay, and go on with the action."""
    room = _room(world, call, document, noun)
    options = _options(document, noun)
    try:
        participant = _take_place(world, call, room, options)
    except DocumentError as error:
        conference.discard(world, room)
        world.alert(error.code, error.detail, call.sid, document.url)
        return action(document, verb.action, verb.method, DialCallStatus="failed")
    conference.join(world, participant)
    limit = world.clock.call_later(verb.time_limit_s, lambda: calls.cancel(world, call))
    try:
        departure = await _stay(world, call, participant, verb)
    finally:
        limit.cancel()
    if departure.kicked and not world.switches.u17_kicked_twiml_leg_continues:
        calls.hang_up(world, call)
        return None
    return action(document, verb.action, verb.method, DialCallStatus="answered", DialBridged="true")


async def _stay(world: World, call: Call, participant: Participant, verb: Dial) -> Departure:
    """Wait until the participant is out of the conference; with hangupOnStar a * takes it out."""
    # Shielded: cancelling a script cancels what it awaits, and others wait for the same future.
    if not verb.hangup_on_star:
        return await asyncio.shield(participant.gone)
    drain(call)
    star = world.spawn(key(call, "*"), "star")
    try:
        await asyncio.wait({star, participant.gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        star.cancel()
    if not participant.gone.done():
        conference.leave(world, participant, Departure("participant_hung_up", CallStatus.IN_PROGRESS))
    return participant.gone.result()


def _take_place(world: World, call: Call, room: Conference, options: JoinOptions) -> Participant:
    """Reserve the participant's place.

    Raises:
        DocumentError: 13240, 16023, 16025 or 16020; the call goes on with the action or the next verb.

    """
    if options.coach_sid and options.coach_sid not in room.participants:
        raise DocumentError(Alert.COACH_INVALID, "coach names no participant of the conference")
    try:
        return conference.reserve(world, room, call, options, via_api=False)
    except conference.LabelTakenError as error:
        raise DocumentError(Alert.LABEL_TAKEN, "participantLabel is taken") from error
    except conference.LabelInvalidError as error:
        raise DocumentError(Alert.LABEL_INVALID, "participantLabel is invalid") from error
    except conference.RoomFullError as error:
        raise DocumentError(Alert.CONFERENCE_FULL, "the conference is full") from error


def _room(world: World, call: Call, document: Document, noun: ConferenceNoun) -> Conference:
    if is_sid(noun.name, "CF"):
        room = world.conferences.get(noun.name)
        if room is None or room is not world.active_room(room.account_sid, room.name):
            raise DocumentError(Alert.CONFERENCE_SID_INVALID, "no active conference with this SID", document.url)
        return room
    callbacks = Subscription()
    if noun.status_callback:
        url = document.absolute(noun.status_callback)
        callbacks = Subscription(url, noun.status_callback_method, noun.status_callback_events)
    wish = None
    if noun.record:
        told = Subscription()
        if noun.recording_status_callback:
            url = document.absolute(noun.recording_status_callback)
            told = Subscription(url, noun.recording_status_callback_method, noun.recording_status_callback_events)
        wish = RecordingWish("Conference", callbacks=told)
    return conference.open_room(
        world, call.account_sid, noun.name, RoomSettings(callbacks, noun.max_participants, wish)
    )


def _options(document: Document, noun: ConferenceNoun) -> JoinOptions:
    wait = None
    if noun.wait_url is not None:
        wait = Source(document.absolute(noun.wait_url) if noun.wait_url else "", noun.wait_method)
    return JoinOptions(
        label=noun.label,
        muted=noun.muted,
        start_on_enter=noun.start_on_enter,
        end_on_exit=noun.end_on_exit,
        coach_sid=noun.coach or None,
        wait=wait,
        beep=noun.beep,
        max_participants=noun.max_participants,
    )
