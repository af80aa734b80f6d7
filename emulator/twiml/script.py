"""Running TwiML for one call, verb by verb, until the document ends, the call does, or somebody redirects it.

The run is one task per call; redirecting or hanging up cancels it. Verbs that wait for a person wait on the call.
"""

import asyncio
from dataclasses import replace

from emulator import call as calls
from emulator import conference, media, payloads, recording
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
from emulator.twiml import fetch
from emulator.twiml.document import Document
from emulator.twiml.verbs import ConferenceNoun, Connect, Dial, Gather, Hangup, Record, Redirect, Reject, Verb
from emulator.world import World


async def run(world: World, call: Call, source: Source) -> None:
    """Run documents for the call until it ends; an unusable document goes to the fallback, then ends the call."""
    next_source: Source | None = source
    while next_source is not None and call.live:
        current = next_source
        try:
            document = await _document(world, call, current)
            next_source = await _execute(world, call, document)
        except DocumentError as error:
            world.alert(error.code, error.detail, call.sid, error.url)
            next_source = _fallback(world, current, error)
            if next_source is None:
                world.tell("hears", call, what="voice: an application error has occurred", because="twiml")
                _end_in_error(world, call)
            continue
        if next_source is not None:
            next_source = _with_fallback(next_source, current)
    calls.answer(world, call)  # an empty document answers and hangs up
    calls.hang_up(world, call)


async def _document(world: World, call: Call, source: Source) -> Document:
    return await fetch.document(world, "twiml", call.sid, call.account_sid, source, payloads.voice_fields(call))


def _with_fallback(source: Source, before: Source) -> Source:
    """The call's fallback URL stays in force through redirects and actions."""
    return replace(source, fallback_url=before.fallback_url, fallback_method=before.fallback_method)


def _fallback(world: World, failed: Source, error: DocumentError) -> Source | None:
    if not failed.fallback_url:
        return None
    extra: tuple[tuple[str, str], ...] = ()
    if world.switches.u4_fallback_carries_error:
        extra = (("ErrorCode", str(int(error.code))), ("ErrorUrl", error.url or failed.url))
    return Source(failed.fallback_url, failed.fallback_method, extra=extra)


def _end_in_error(world: World, call: Call) -> None:
    if call.status is CallStatus.IN_PROGRESS:
        calls.finish(world, call, CallStatus.COMPLETED)
    else:
        calls.finish(world, call, CallStatus.FAILED)


async def _execute(world: World, call: Call, document: Document) -> Source | None:
    """Run the verbs; return the document to go on with, None when this one has simply ended."""
    for index, verb in enumerate(document.verbs):
        if isinstance(verb, Reject) and index == 0 and call.status is CallStatus.RINGING:
            calls.finish(world, call, CallStatus.BUSY)
            return None
        calls.answer(world, call)
        outcome = await _verb(world, call, document, verb)
        if isinstance(outcome, Source):
            return outcome
        if not call.live:
            return None
    return None


async def _verb(world: World, call: Call, document: Document, verb: Verb) -> Source | None:
    match verb:
        case Redirect():
            await world.clock.sleep(media.MIN_SOUND_S)
            return Source(document.absolute(verb.url), verb.method)
        case Hangup():
            calls.hang_up(world, call)
            return None
        case Reject():
            raise DocumentError(Alert.SCHEMA, "<Reject> must be the first verb of an unanswered call", document.url)
        case Dial():
            return await _dial(world, call, document, verb)
        case Gather():
            return await _gather(world, call, document, verb)
        case Record():
            return await _record(world, call, document, verb)
        case Connect():
            return await _connect(world, call, document, verb)
        case _:
            world.tell("hears", call, what=media.describe(verb), because="twiml")
            await media.sound(world, verb)
            return None


# -- conference -------------------------------------------------------------------------------------------------------


async def _dial(world: World, call: Call, document: Document, verb: Dial) -> Source | None:
    room = _room(world, call, document, verb.conference)
    options = _options(document, verb.conference)
    try:
        participant = _take_place(world, call, room, options)
    except DocumentError as error:
        conference.discard(world, room)
        world.alert(error.code, error.detail, call.sid, document.url)
        return _action(document, verb.action, verb.method, DialCallStatus="failed")
    conference.join(world, participant)
    limit = world.clock.call_later(verb.time_limit_s, lambda: calls.cancel(world, call))
    try:
        departure = await _stay(world, call, participant, verb)
    finally:
        limit.cancel()
    if departure.kicked and not world.switches.u17_kicked_twiml_leg_continues:
        calls.hang_up(world, call)
        return None
    return _action(document, verb.action, verb.method, DialCallStatus="answered", DialBridged="true")


async def _stay(world: World, call: Call, participant: Participant, verb: Dial) -> Departure:
    """Wait until the participant is out of the conference; with hangupOnStar a * takes it out."""
    # Shielded: cancelling a script cancels what it awaits, and others wait for the same future.
    if not verb.hangup_on_star:
        return await asyncio.shield(participant.gone)
    _drain(call)
    star = world.spawn(_key(call, "*"), "star")
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
    )


def _action(document: Document, action: str, method: str, **fields: str) -> Source | None:
    """Return the action URL with its fields; no action: the next verb."""
    if not action:
        return None
    return Source(document.absolute(action), method, extra=tuple(fields.items()))


# -- digits, messages, sessions ---------------------------------------------------------------------------------------


async def _gather(world: World, call: Call, document: Document, verb: Gather) -> Source | None:
    """Play the prompts until a digit comes, then collect."""
    _drain(call)
    first: str | None = None
    if verb.prompts:
        prompts = world.spawn(_prompts(world, call, verb), "prompts")
        key = world.spawn(call.digits.get(), "key")
        try:
            await asyncio.wait({prompts, key}, return_when=asyncio.FIRST_COMPLETED)
            first = key.result() if key.done() else None
        finally:
            prompts.cancel()
            key.cancel()
    digits = await _digits(world, call, verb, first)
    if not digits and not verb.action_on_empty_result:
        return None
    return Source(document.absolute(verb.action), verb.method, extra=(("Digits", digits),))


async def _prompts(world: World, call: Call, verb: Gather) -> None:
    for prompt in verb.prompts:
        world.tell("hears", call, what=media.describe(prompt), because="twiml")
        await media.sound(world, prompt)


def _drain(call: Call) -> None:
    while not call.digits.empty():
        call.digits.get_nowait()


async def _digits(world: World, call: Call, verb: Gather, first: str | None) -> str:
    digits = ""
    while verb.num_digits is None or len(digits) < verb.num_digits:
        try:
            key = first if first is not None else await world.clock.within(call.digits.get(), verb.timeout_s)
        except TimeoutError:
            break
        first = None
        if key in verb.finish_on_key and verb.finish_on_key:
            break
        digits += key
    return digits


async def _record(world: World, call: Call, document: Document, verb: Record) -> Source | None:
    """Record until a key, the length limit or the hang-up; a hang-up still tells the recording, not the action."""
    _drain(call)
    told = Subscription()
    if verb.callback:
        told = Subscription(document.absolute(verb.callback), verb.callback_method, verb.callback_events)
    taken = recording.start(world, RecordingWish("RecordVerb", track="inbound", callbacks=told), call=call)
    pressed = ""
    try:
        pressed = await world.clock.within(_key(call, verb.finish_on_key), verb.max_length_s)
    except TimeoutError:
        pressed = ""
    recording.finish(world, taken)
    fields = {
        "RecordingUrl": recording.media_url(world, taken),
        "RecordingSid": taken.sid,
        "RecordingDuration": str(taken.duration_s or 0),
        "Digits": pressed,
    }
    return Source(document.absolute(verb.action), verb.method, extra=tuple(fields.items()))


async def _key(call: Call, keys: str) -> str:
    """Wait for one of these keys."""
    while (pressed := await call.digits.get()) not in keys:
        pass
    return pressed


async def _connect(world: World, call: Call, document: Document, verb: Connect) -> Source | None:
    """A media session (an AI agent): lasts until the call or the control route ends it."""
    world.tell("session.started", call, noun=verb.noun)
    await call.session_over.wait()
    call.session_over.clear()
    world.tell("session.ended", call, noun=verb.noun)
    return _action(document, verb.action, verb.method)
