"""What participants hear: wait music, hold music, announcements, one another.

Documents are fetched and run for real, their sounds only take time.
"""

from emulator import payloads
from emulator.conference_events import emit
from emulator.entities import Conference, ConferenceStatus, Participant, Source
from emulator.errors import Alert, DocumentError
from emulator.twiml import fetch
from emulator.twiml.document import Document
from emulator.twiml.verbs import Pause, Play, Redirect, Say, Verb
from emulator.world import World

HOLD_MUSIC = "Twilio's hold music"
SILENCE = "silence"
MIN_SOUND_S = 0.02
"""Keeps a document that only redirects to itself from spinning."""


def hears(participant: Participant) -> list[Participant]:
    """Return whom a participant hears: joined, neither muted nor on hold, coaches only by the coached."""
    room = participant.conference
    if participant.hold or room.status is not ConferenceStatus.IN_PROGRESS:
        return []
    return [
        other
        for other in room.joined()
        if other is not participant
        and not other.muted
        and not other.hold
        and (not other.coaching or other.call_sid_to_coach == participant.call.sid)
    ]


def _name(participant: Participant) -> str:
    return participant.label or participant.call.to


def retune(world: World, room: Conference) -> None:
    """Let every participant hear what the conference's state says, starting and stopping music as needed."""
    for participant in room.joined():
        if participant.hold:
            _tune(world, participant, "hold", participant.hold_source)
        elif room.status is ConferenceStatus.INIT:
            _tune(world, participant, "wait", participant.wait)
        else:
            _tune_to_people(world, participant)


def _tune_to_people(world: World, participant: Participant) -> None:
    names = sorted(_name(other) for other in hears(participant))
    if _turn(participant, f"talk:{names}"):
        room = participant.conference
        world.tell("hears", participant.call, room, what="people" if names else SILENCE, people=names)


def _tune(world: World, participant: Participant, kind: str, source: Source | None) -> None:
    where = "" if source is None else f"{source.method} {source.url}"
    if not _turn(participant, f"{kind}:{source is not None}:{where}"):
        return
    if source is None or not source.url:
        what = HOLD_MUSIC if source is None else SILENCE
        world.tell("hears", participant.call, participant.conference, what=what, because=kind)
        return
    participant.player = world.spawn(_play_for(world, participant, kind, source), f"{kind}-music")


def _turn(participant: Participant, channel: str) -> bool:
    if participant.tuned_to == channel:
        return False
    stop(participant)
    participant.tuned_to = channel
    return True


def stop(participant: Participant) -> None:
    """Stop the music that a participant hears."""
    if participant.player is not None:
        participant.player.cancel()
        participant.player = None
    participant.tuned_to = ""


async def _play_for(world: World, participant: Participant, kind: str, source: Source) -> None:
    """Run a wait or hold document once; it loops only if it redirects to itself."""
    with_conference = world.switches.u6_media_requests_name_conference
    try:
        next_source: Source | None = source
        while next_source is not None:
            fields = payloads.media_fields(participant, with_conference=with_conference)
            document = await fetch.document(
                world, f"{kind}-music", participant.call.sid, participant.call.account_sid, next_source, fields
            )
            next_source = await _play(world, participant, kind, document)
        world.tell("hears", participant.call, participant.conference, what=SILENCE, because=f"{kind} music is over")
    except DocumentError as error:
        world.alert(error.code, f"{kind} music: {error.detail}", participant.call.sid, error.url)
        world.tell("hears", participant.call, participant.conference, what=SILENCE, because=f"{kind} music failed")


async def _play(world: World, participant: Participant, kind: str, document: Document) -> Source | None:
    for verb in document.verbs:
        if isinstance(verb, Redirect):
            await world.clock.sleep(MIN_SOUND_S)
            return Source(document.absolute(verb.url), verb.method)
        check_media_verb(verb, document)
        world.tell("hears", participant.call, participant.conference, what=describe(verb), because=kind)
        await sound(world, verb)
    return None


def check_media_verb(verb: Verb, document: Document) -> None:
    """Only Say, Play, Pause and Redirect may stand in wait, hold and announcement documents.

    Raises:
        DocumentError: 13238.

    """
    if not isinstance(verb, (Say, Play, Pause, Redirect)):
        detail = f"<{type(verb).__name__}> is not allowed here; Say, Play, Pause and Redirect are"
        raise DocumentError(Alert.FORBIDDEN_VERB, detail, document.url)


def describe(verb: Verb) -> str:
    """Return what a verb sounds like, in words."""
    if isinstance(verb, Say):
        return f"voice: {verb.text}"
    if isinstance(verb, Play):
        return f"sound: {verb.url.rpartition('/')[2].partition('?')[0]}" if verb.url else f"tones: {verb.digits}"
    return SILENCE


async def sound(world: World, verb: Verb) -> None:
    """Take the time that a Say, Play or Pause takes; loop 0 lasts until somebody cancels."""
    config = world.config
    if isinstance(verb, Pause):
        await world.clock.sleep(verb.length_s)
        return
    once = config.say_s if isinstance(verb, Say) else config.play_s
    loop = verb.loop if isinstance(verb, (Say, Play)) else 1
    if loop == 0:
        while True:
            await world.clock.sleep(3600)
    await world.clock.sleep(once * loop)


def say(world: World, participant: Participant, text: str) -> None:
    """Let those who hear a participant hear what it says; talk detection notices it."""
    room = participant.conference
    emit(world, room, "participant-speech-start", participant)
    for other in room.joined():
        if participant in hears(other):
            world.tell("hears", other.call, room, what=f"{_name(participant)}: {text}", because="speech")
    emit(world, room, "participant-speech-stop", participant)


def announce(world: World, room: Conference, participant: Participant | None, source: Source) -> None:
    """Play an announcement to one participant or to all, then tell how it went."""
    world.start(_announce(world, room, participant, source), "announcement")


async def _announce(world: World, room: Conference, participant: Participant | None, source: Source) -> None:
    resource = participant.call.sid if participant else room.sid
    if participant is not None:
        fields = payloads.media_fields(participant, with_conference=True)
    else:
        fields = {"AccountSid": room.account_sid, "ConferenceSid": room.sid, "FriendlyName": room.name}
        fields["ApiVersion"] = payloads.API_VERSION
    told = {"AnnounceUrl": source.url}
    try:
        await _run_announcement(world, room, participant, source, fields)
    except DocumentError as error:
        world.alert(error.code, f"announcement: {error.detail}", resource, error.url)
        told["ReasonAnnouncementFailed"] = error.detail
        emit(world, room, "announcement-fail", participant, told)
    else:
        still_there = participant is None or (participant.joined and not participant.gone.done())
        if room.status is not ConferenceStatus.COMPLETED and still_there:
            emit(world, room, "announcement-end", participant, told)


async def _run_announcement(
    world: World, room: Conference, participant: Participant | None, source: Source, fields: dict[str, str]
) -> None:
    resource = participant.call.sid if participant else room.sid
    next_source: Source | None = source
    while next_source is not None:
        document = await fetch.document(world, "announcement", resource, room.account_sid, next_source, fields)
        next_source = None
        for verb in document.verbs:
            if isinstance(verb, Redirect):
                next_source = Source(document.absolute(verb.url), verb.method)
                break
            check_media_verb(verb, document)
            for listener in [participant] if participant else room.joined():
                world.tell("hears", listener.call, room, what=describe(verb), because="announcement")
            await sound(world, verb)
