"""``<Connect><Conversation>``: a worker of the Conversations service is dialled and bridged (twilio-facts.md 2.9, 4.5).

The worker comes from the configuration (``EmulatorConfig.conversations``); conversations themselves are not kept. A
browser that calls is a worker: whom it calls is dialled.
"""

import asyncio
from dataclasses import dataclass, field

from emulator import bridge, payloads, recording
from emulator import call as calls
from emulator.config import ConversationConfig
from emulator.entities import Call, CallStatus, Recording, RecordingWish, Source, Subscription
from emulator.errors import Alert
from emulator.twiml import aside
from emulator.twiml.digits import action
from emulator.twiml.document import Document
from emulator.twiml.parties import Leg, leg_of, prepare
from emulator.twiml.verbs import Connect, ConversationNoun, PartyNoun
from emulator.world import World

KIND = "conversation"
SOURCE = "voice-conversation-service"
EVENTS = {
    CallStatus.INITIATED: "call-initiated",
    CallStatus.RINGING: "call-ringing",
    CallStatus.IN_PROGRESS: "call-answered",
}
"""A leg's status and the event that tells it; every end is ``call-completed``."""


@dataclass(eq=False, slots=True)
class Session:
    """One ``<Conversation>`` under way."""

    noun: ConversationNoun
    told: Subscription
    sid: str
    leg: Leg | None = None
    talk: bridge.Bridge | None = None
    recording: Recording | None = None
    sequence: int = 1
    result: str = ""
    told_answered: asyncio.Event = field(default_factory=asyncio.Event)
    told_over: asyncio.Event = field(default_factory=asyncio.Event)


async def connect(world: World, call: Call, document: Document, verb: Connect, noun: ConversationNoun) -> Source | None:
    """Find a worker, dial, whisper, talk; then go on with the action and its Result."""
    told = Subscription(
        document.absolute(noun.callback) if noun.callback else "", noun.callback_method, noun.callback_events
    )
    session = Session(noun, told, world.sids.new("CH"))
    try:
        session.result = await _refusal(world, call, noun)
        if not session.result:
            await _serve(world, call, document, session)
    except asyncio.CancelledError:
        _hang_up(world, session)
        _finish(world, session)
        aside.last_word(world, call, _action(world, call, document, verb, session), payloads.voice_fields(call))
        raise
    _hang_up(world, session)
    if session.leg is not None and not session.leg.call.live:
        await session.told_over.wait()
    _finish(world, session)
    return _action(world, call, document, verb, session)


async def _refusal(world: World, call: Call, noun: ConversationNoun) -> str:
    """Return the Result of what cannot be connected, nothing when a worker is there."""
    service = world.config.conversations.get(noun.service_sid)
    if service is None:
        world.alert(Alert.CONVERSATION_INVALID, f"no conversation service {noun.service_sid}", call.sid)
        return "failed-create-conversation"
    if service.result:
        return service.result
    if _by_worker(call):
        return ""
    if not noun.autocreation and not service.exists:
        return "no-existing-conversation"
    if not service.worker:
        await world.clock.sleep(noun.routing_timeout_s)
        world.alert(Alert.CONVERSATION_WITHOUT_WORKER, "no worker was assigned to the conversation", call.sid)
        return "no-other-participants"
    return ""


def _by_worker(call: Call) -> bool:
    return call.from_.startswith("client:")


def _service(world: World, session: Session) -> ConversationConfig:
    return world.config.conversations[session.noun.service_sid]


async def _serve(world: World, call: Call, document: Document, session: Session) -> None:
    noun = session.noun
    to = call.to if _by_worker(call) else _service(world, session).worker
    child = leg_of(world, call, to, call.from_, noun.timeout_s, Subscription())
    leg = session.leg = Leg(PartyNoun(to=to, url=noun.url, method=noun.method), child)
    world.start(_tell_progress(world, call, session, child), "conversation-callbacks")
    await asyncio.sleep(0)  # the teller listens before there is anything to tell
    world.dial_leg(world, child)
    world.start(prepare(world, document, leg), "called-party")
    await world.until(lambda: leg.ready or not child.live, child.sid)
    if not leg.ready:
        session.result = "dialed-call-incomplete"
        return
    await session.told_answered.wait()
    session.result = "session-success"
    session.talk = bridge.connect(world, call, child)
    bridge.hold(world, session.talk, child)
    if noun.record_channels:
        told = Subscription(noun.recording_callback, noun.recording_callback_method, noun.recording_callback_events)
        wish = RecordingWish("Conversation", channels=noun.record_channels, callbacks=told)
        session.recording = recording.start(world, wish, call=call)
    await bridge.stay(world, session.talk, call)


async def _tell_progress(world: World, call: Call, session: Session, leg: Call) -> None:
    """Send the noun's status callbacks, in order, from what the leg goes through."""
    with world.events.subscribe(stream=False) as reader:
        while True:
            event = await reader.queue.get()
            status = event.kind.removeprefix("call.")
            if event.call_sid != leg.sid or not event.kind.startswith("call.") or status not in {*CallStatus}:
                continue
            _tell(world, call, session, leg, EVENTS.get(CallStatus(status), "call-completed"), CallStatus(status))
            if status == CallStatus.IN_PROGRESS:
                session.told_answered.set()
            if CallStatus(status).terminal:
                session.told_over.set()
                return


def _tell(world: World, call: Call, session: Session, leg: Call, event: str, status: CallStatus) -> None:
    if status is CallStatus.QUEUED:
        return
    sequence = session.sequence
    session.sequence += 1
    if not session.told.wants(event):
        return
    fields = {
        "AccountSid": leg.account_sid,
        "ConversationSid": session.sid,
        "DialCallSid": leg.sid,
        "WorkerInitiated": str(_by_worker(call)).lower(),
        "Status": event,
        "SequenceNumber": str(sequence),
        "Timestamp": payloads.rfc2822(world.clock.now()),
        "CallbackSource": SOURCE,
    }
    world.callbacks.send(KIND, leg.sid, session.told.url, session.told.method, fields, leg.account_sid, event)


def _hang_up(world: World, session: Session) -> None:
    if session.leg is not None and (session.talk is None or not bridge.redirected(session.leg.call, session.talk)):
        calls.cancel(world, session.leg.call)


def _finish(world: World, session: Session) -> None:
    if session.recording is not None:
        recording.finish(world, session.recording)


def _action(world: World, call: Call, document: Document, verb: Connect, session: Session) -> Source | None:
    initiated = str(_by_worker(call)).lower()
    fields = {"Result": session.result or "dialed-call-incomplete", "WorkerInitiated": initiated}
    if session.leg is not None:
        fields["DialCallSid"] = session.leg.call.sid
        fields["DialCallStatus"] = session.leg.call.status.value
        fields["DialCallDuration"] = str(session.talk.seconds(world.clock.now()) if session.talk else 0)
    if session.recording is not None:
        fields["RecordingSid"] = session.recording.sid
        fields["RecordingUrl"] = recording.media_url(world, session.recording)
        fields["RecordingDuration"] = str(session.recording.duration_s or 0)
    if not verb.action and world.switches.conversation_action_defaults_to_document and document.url:
        return Source(document.url, verb.method, extra=tuple(fields.items()))
    return action(document, verb.action, verb.method, **fields)
