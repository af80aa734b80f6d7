"""Conference callbacks: numbering, subscription by the first participant, and the live event beside each."""

from emulator import payloads
from emulator.entities import Conference, Participant
from emulator.switches import Counting
from emulator.world import World

SUBSCRIBED_BY = {
    "conference-start": "start",
    "conference-end": "end",
    "participant-join": "join",
    "participant-leave": "leave",
    "participant-mute": "mute",
    "participant-unmute": "mute",
    "participant-hold": "hold",
    "participant-unhold": "hold",
    "participant-modify": "modify",
    "participant-speech-start": "speaker",
    "participant-speech-stop": "speaker",
    "announcement-end": "announcement",
    "announcement-fail": "announcement",
}
"""StatusCallbackEvent and the word that subscribes to it (section 2.5)."""


def emit(
    world: World,
    conference: Conference,
    event: str,
    participant: Participant | None = None,
    extra: dict[str, str] | None = None,
) -> None:
    """Number a conference event and send it if the conference's first participant subscribed to it."""
    call = participant.call if participant else None
    label = participant.label if participant else None
    world.tell(f"conference.{event}", call, conference, label=label, name=conference.name)
    callbacks = conference.settings.callbacks
    wanted = callbacks.wants(SUBSCRIBED_BY[event])
    sequence = conference.sequence
    if wanted or world.switches.u13_counting is Counting.ALL:
        conference.sequence += 1
    if not wanted:
        return
    fields = payloads.conference_fields(conference, event, sequence, world.clock.now())
    if participant is not None:
        with_coached = world.switches.u21_events_carry_call_sid_to_coach
        fields.update(payloads.participant_fields(participant, with_coached=with_coached))
    if extra:
        fields.update(extra)
    account = conference.account_sid
    world.callbacks.send("conference", conference.sid, callbacks.url, callbacks.method, fields, account, event)
