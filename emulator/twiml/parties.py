"""``<Dial>`` of numbers, clients, SIP addresses: child legs, whisper, bridge, action (twilio-facts.md 2.4, 4.1)."""

import asyncio
from dataclasses import dataclass, field

from emulator import bridge, payloads, recording
from emulator import call as calls
from emulator.bridge import Bridge
from emulator.entities import (
    Call,
    CallStatus,
    Direction,
    MachineDetection,
    Recording,
    RecordingWish,
    Source,
    Subscription,
)
from emulator.errors import DocumentError
from emulator.twiml import aside
from emulator.twiml.digits import action, drain, key
from emulator.twiml.document import Document
from emulator.twiml.verbs import Dial, PartyNoun
from emulator.world import World

MAX_PARTIES = 10


@dataclass(eq=False, slots=True)
class Leg:
    """One child call and where it stands: ``ready`` once answered and whispered to."""

    noun: PartyNoun
    call: Call
    ready: bool = False


@dataclass(eq=False, slots=True)
class Attempt:
    """A running ``<Dial>``: its legs, and the talk if it comes to one."""

    legs: list[Leg] = field(default_factory=list)
    winner: Leg | None = None
    bridge: Bridge | None = None
    recording: Recording | None = None
    starred: bool = False


async def dial(world: World, call: Call, document: Document, verb: Dial) -> Source | None:
    """Dial the parties, one after the other or all at once; talk with the first who is ready; go on with the action."""
    attempt = Attempt()
    groups = [[noun] for noun in verb.parties] if verb.sequential else [[*verb.parties[:MAX_PARTIES]]]
    try:
        for group in groups:
            await _ring(world, call, document, verb, attempt, group)
            if attempt.winner is not None:
                break
        if attempt.winner is not None:
            await _talk(world, call, document, verb, attempt, attempt.winner)
    except asyncio.CancelledError:
        _clear(world, attempt)
        aside.last_word(world, call, _action(world, document, verb, attempt), payloads.voice_fields(call))
        raise
    _clear(world, attempt)
    return _action(world, document, verb, attempt)


def leg_of(world: World, call: Call, to: str, from_: str, timeout_s: float, told: Subscription) -> Call:
    """Make a child call; it is never queued."""
    now = world.clock.now()
    return Call(
        sid=world.sids.new("CA"),
        account_sid=call.account_sid,
        to=to,
        from_=from_,
        direction=Direction.OUTBOUND_DIAL,
        created_at=now,
        updated_at=now,
        parent_call_sid=call.sid,
        timeout_s=timeout_s,
        progress=told,
    )


async def _ring(
    world: World, call: Call, document: Document, verb: Dial, attempt: Attempt, nouns: list[PartyNoun]
) -> None:
    """Let a group of parties ring until one is ready or all are over."""
    group: list[Leg] = []
    for noun in nouns:
        url = document.absolute(noun.callback) if noun.callback else ""
        told = Subscription(url, noun.callback_method, noun.callback_events)
        child = leg_of(world, call, noun.to, verb.caller_id or call.from_, verb.timeout_s, told)
        child.send_digits = noun.send_digits
        if noun.detection:
            verdict_url = document.absolute(noun.detection_callback) if noun.detection_callback else ""
            child.detection = MachineDetection(
                noun.detection,
                asynchronous=True,
                url=verdict_url,
                method=noun.detection_method,
                timeout_s=noun.detection_timeout_s,
            )
        group.append(Leg(noun, child))
    attempt.legs += group
    for leg in group:
        world.dial_leg(world, leg.call)
        world.start(prepare(world, document, leg), "called-party")
    await world.until(
        lambda: any(leg.ready for leg in group) or all(not leg.call.live for leg in group),
        *[leg.call.sid for leg in group],
    )
    attempt.winner = next((leg for leg in group if leg.ready), None)
    for leg in group:
        if leg is not attempt.winner:
            calls.cancel(world, leg.call)


async def prepare(world: World, document: Document, leg: Leg) -> None:
    """Wait for the answer, then let the called party hear its document; ``<Hangup/>`` there declines the call."""
    await world.until(lambda: leg.call.answered_at is not None or not leg.call.live, leg.call.sid)
    if not leg.call.live:
        return
    if leg.noun.url:
        source = Source(document.absolute(leg.noun.url), leg.noun.method)
        try:
            ending = await aside.run(world, "whisper", leg.call, source, lambda: payloads.voice_fields(leg.call))
        except DocumentError as error:
            world.alert(error.code, f"called party: {error.detail}", leg.call.sid, error.url)
            ending = aside.Ending.HANGUP
        if ending is aside.Ending.HANGUP:
            calls.cancel(world, leg.call)
            return
    if leg.call.live:
        leg.ready = True
        world.tell("party.ready", leg.call, to=leg.call.to)


async def _talk(world: World, call: Call, document: Document, verb: Dial, attempt: Attempt, leg: Leg) -> None:
    """Bridge the caller and the called party until one leaves, ``*`` is pressed, or the time limit is reached."""
    calls.answer(world, call)
    attempt.bridge = bridge.connect(world, call, leg.call)
    bridge.hold(world, attempt.bridge, leg.call)
    if verb.record_channels:
        url = document.absolute(verb.recording_callback) if verb.recording_callback else ""
        told = Subscription(url, verb.recording_callback_method, verb.recording_callback_events)
        wish = RecordingWish("DialVerb", verb.record_channels, verb.recording_track, told)
        attempt.recording = recording.start(world, wish, call=call)
    limit = world.clock.call_later(verb.time_limit_s, lambda: calls.cancel(world, leg.call))
    star = world.spawn(_star(world, call, attempt), "star") if verb.hangup_on_star else None
    try:
        await bridge.stay(world, attempt.bridge, call)
    finally:
        limit.cancel()
        if star is not None:
            star.cancel()
        if attempt.recording is not None:
            recording.finish(world, attempt.recording)


async def _star(world: World, call: Call, attempt: Attempt) -> None:
    drain(call)
    await key(call, "*")
    attempt.starred = True
    if attempt.bridge is not None:
        bridge.end(world, attempt.bridge)


def _clear(world: World, attempt: Attempt) -> None:
    """Hang up every leg that has not gone on to TwiML of its own."""
    for leg in attempt.legs:
        if attempt.bridge is None or not bridge.redirected(leg.call, attempt.bridge):
            calls.cancel(world, leg.call)


def _action(world: World, document: Document, verb: Dial, attempt: Attempt) -> Source | None:
    leg = attempt.winner or (attempt.legs[-1] if attempt.legs else None)
    fields = {"DialCallStatus": _status(attempt), "DialBridged": payloads.text(attempt.bridge is not None)}
    if leg is not None:
        fields["DialCallSid"] = leg.call.sid
    if attempt.bridge is not None:
        fields["DialCallDuration"] = str(attempt.bridge.seconds(world.clock.now()))
    if attempt.recording is not None:
        fields["RecordingUrl"] = recording.media_url(world, attempt.recording)
        fields["RecordingSid"] = attempt.recording.sid
        fields["RecordingDuration"] = str(attempt.recording.duration_s or 0)
    return action(document, verb.action, verb.method, **fields)


def _status(attempt: Attempt) -> str:
    """Return DialCallStatus: ``answered`` after a star, else that of the leg that was talked with or tried last."""
    if attempt.starred:
        return "answered"
    if attempt.bridge is not None:
        return CallStatus.COMPLETED.value
    ended = [leg.call.status for leg in attempt.legs if leg.call.status.terminal]
    tried = [status for status in ended if status is not CallStatus.CANCELED] or ended
    status = tried[-1] if tried else CallStatus.CANCELED
    return (CallStatus.NO_ANSWER if status is CallStatus.COMPLETED else status).value
