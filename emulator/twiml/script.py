"""Running TwiML for one call, verb by verb, until the document ends, the call does, or somebody redirects it.

The run is one task per call; redirecting or hanging up cancels it. Verbs that wait for a person wait on the call.
"""

import asyncio

from emulator import call as calls
from emulator import media, payloads, recording
from emulator.entities import Call, CallStatus, Recording, RecordingWish, Source, Subscription
from emulator.errors import Alert, DocumentError
from emulator.twiml import aside, conversation, fetch, in_conference, parties, queueing
from emulator.twiml.digits import action, drain, gather, key
from emulator.twiml.document import Document
from emulator.twiml.verbs import (
    Connect,
    Dial,
    Enqueue,
    Gather,
    Hangup,
    Leave,
    Record,
    Redirect,
    Reject,
    Start,
    Stop,
    Verb,
)
from emulator.world import World

BACKGROUND = "StartCallRecordingTwiML"
"""RecordingSource of ``<Start><Recording>``."""
MISPLACED: dict[type[Verb], str] = {
    Reject: "<Reject> must be the first verb of an unanswered call",
    Leave: "<Leave> is for the wait document of a queue",
}


async def run(world: World, call: Call, source: Source) -> None:
    """Run documents for the call until it ends; an unusable document goes to the fallback, then ends the call."""
    next_source: Source | None = source
    fallen_back = False
    while next_source is not None and call.live:
        current = next_source
        try:
            document = await _document(world, call, current)
            next_source = await _execute(world, call, document)
        except DocumentError as error:
            world.alert(error.code, error.detail, call.sid, error.url)
            next_source = None if fallen_back else _fallback(world, call.source or source, current, error)
            fallen_back = True
            if next_source is None:
                world.tell("hears", call, what="voice: an application error has occurred", because="twiml")
                _end_in_error(world, call)
    calls.answer(world, call)  # an empty document answers and hangs up
    calls.hang_up(world, call)


async def _document(world: World, call: Call, source: Source) -> Document:
    return await fetch.document(world, "twiml", call.sid, call.account_sid, source, payloads.voice_fields(call))


def _fallback(world: World, given: Source, failed: Source, error: DocumentError) -> Source | None:
    """Return the call's fallback, which stays in force through redirects and actions; there is none behind it."""
    if not given.fallback_url:
        return None
    extra: tuple[tuple[str, str], ...] = ()
    if world.switches.u4_fallback_carries_error:
        extra = (("ErrorCode", str(int(error.code))), ("ErrorUrl", error.url or failed.url))
    return Source(given.fallback_url, given.fallback_method, extra=extra)


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
        if not (isinstance(verb, Dial) and verb.parties and verb.answer_on_bridge):
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
        case Reject() | Leave():
            raise DocumentError(Alert.SCHEMA, MISPLACED[type(verb)], document.url)
        case Dial():
            return await _dial(world, call, document, verb)
        case Enqueue():
            return await queueing.enqueue(world, call, document, verb)
        case Gather():
            return await gather(world, call, document, verb)
        case Record():
            return await _record(world, call, document, verb)
        case Connect():
            return await _connect(world, call, document, verb)
        case _:
            await _aside(world, call, document, verb)
            return None


async def _aside(world: World, call: Call, document: Document, verb: Verb) -> None:
    """Run what never leads to another document: a sound, or a recording in the background."""
    if isinstance(verb, Start | Stop):
        _background(world, call, document, verb)
    else:
        world.tell("hears", call, what=media.describe(verb), because="twiml")
        await media.sound(world, verb)


# -- messages, sessions ---------------------------------------------------------------------------------------------


async def _dial(world: World, call: Call, document: Document, verb: Dial) -> Source | None:
    if verb.conference is not None:
        return await in_conference.dial(world, call, document, verb, verb.conference)
    if verb.queue is not None:
        return await queueing.dial(world, call, document, verb, verb.queue)
    return await parties.dial(world, call, document, verb)


async def _record(world: World, call: Call, document: Document, verb: Record) -> Source | None:
    """Record until a key, the length limit or the hang-up, which the action hears of too (``Digits=hangup``)."""
    drain(call)
    told = Subscription()
    if verb.callback:
        told = Subscription(document.absolute(verb.callback), verb.callback_method, verb.callback_events)
    ends = f"{verb.finish_on_key} ends it" if len(verb.finish_on_key) == 1 else "a key ends it"
    world.tell("record", call, what=ends)
    taken = recording.start(world, RecordingWish("RecordVerb", track="inbound", callbacks=told), call=call)
    pressed = ""
    world.tell("prompted", call, by="Record")
    try:
        pressed = await world.clock.within(key(call, verb.finish_on_key), verb.max_length_s)
    except TimeoutError:
        pressed = ""
    except asyncio.CancelledError:
        if not call.live:
            last = _recorded(world, document, verb, taken, "hangup")
            aside.last_word(world, call, last, payloads.voice_fields(call))
        raise
    return _recorded(world, document, verb, taken, pressed)


def _recorded(world: World, document: Document, verb: Record, taken: Recording, pressed: str) -> Source:
    recording.finish(world, taken)
    fields = {
        "RecordingUrl": recording.media_url(world, taken),
        "RecordingSid": taken.sid,
        "RecordingDuration": str(taken.duration_s or 0),
        "Digits": pressed,
    }
    return Source(document.absolute(verb.action), verb.method, extra=tuple(fields.items()))


def _background(world: World, call: Call, document: Document, verb: Start | Stop) -> None:
    """Begin or end a recording beside the document."""
    if isinstance(verb, Start):
        told = Subscription()
        if verb.callback:
            told = Subscription(document.absolute(verb.callback), verb.callback_method, verb.callback_events)
        recording.start(world, RecordingWish(BACKGROUND, verb.channels, verb.track, told, verb.name), call=call)
        return
    for taken in recording.of(world, call.sid):
        if taken.wish.source == BACKGROUND and verb.name in {"", taken.wish.name}:
            recording.finish(world, taken)


async def _connect(world: World, call: Call, document: Document, verb: Connect) -> Source | None:
    """A media session (an AI agent): lasts until the call or the control route ends it."""
    if verb.conversation is not None:
        return await conversation.connect(world, call, document, verb, verb.conversation)
    world.tell("session.started", call, noun=verb.noun)
    await call.session_over.wait()
    call.session_over.clear()
    world.tell("session.ended", call, noun=verb.noun)
    return action(document, verb.action, verb.method)
