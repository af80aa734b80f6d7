"""Recordings of calls and conferences: started, paused, stopped, finished; their callbacks. No sound is kept."""

from emulator import payloads
from emulator.entities import Call, Conference, Recording, RecordingWish
from emulator.world import World

CHANGES = {"paused": "paused", "in-progress": "resumed", "stopped": "stopped"}
"""A status that REST gives, and the event that Participants alone can subscribe to."""
ACTIVE = frozenset({"in-progress", "paused"})


def media_url(world: World, recording: Recording) -> str:
    """Return the recording's URL as callbacks name it, without an extension."""
    return f"{world.config.media_base_url}/2010-04-01/Accounts/{recording.account_sid}/Recordings/{recording.sid}"


def start(world: World, wish: RecordingWish, *, call: Call | None = None, room: Conference | None = None) -> Recording:
    """Begin to record a call or a conference."""
    now = world.clock.now()
    account_sid = call.account_sid if call else room.account_sid if room else world.config.account_sid
    recording = Recording(
        sid=world.sids.new("RE"),
        account_sid=account_sid,
        wish=wish,
        created_at=now,
        updated_at=now,
        call_sid=call.sid if call else "",
        conference_sid=room.sid if room else "",
    )
    world.add_recording(recording)
    _call_back(world, recording, "started")
    _tell(world, recording)
    return recording


def change(world: World, recording: Recording, status: str) -> None:
    """Pause, resume or stop. A stopped recording is finished and told as ``completed``."""
    recording.updated_at = world.clock.now()
    _call_back(world, recording, CHANGES[status])
    if status == "stopped":
        finish(world, recording)
        return
    recording.status = status
    world.tell(f"recording.{status}", world.calls.get(recording.call_sid), recording_sid=recording.sid)


def finish(world: World, recording: Recording) -> None:
    """Finish a recording, ``absent`` if nobody spoke, else of a second at least; one that is finished stays so."""
    if recording.status not in ACTIVE:
        return
    recording.updated_at = world.clock.now()
    silent = _silent(world, recording)
    recording.duration_s = max(round(recording.updated_at - recording.created_at), 0 if silent else 1)
    recording.status = "absent" if silent else "completed"
    _tell(world, recording)


def _silent(world: World, recording: Recording) -> bool:
    call = world.calls.get(recording.call_sid)
    return call is not None and call.person.silent


def _tell(world: World, recording: Recording) -> None:
    world.tell(f"recording.{recording.status}", world.calls.get(recording.call_sid), recording_sid=recording.sid)
    _call_back(world, recording, recording.status)


def _call_back(world: World, recording: Recording, event: str) -> None:
    callbacks = recording.wish.callbacks
    if callbacks.wants(event):
        fields = payloads.recording_fields(recording, media_url(world, recording), event)
        world.callbacks.send(
            "recording",
            recording.sid,
            callbacks.url,
            callbacks.method,
            fields,
            recording.account_sid,
            event,
        )


def of(world: World, sid: str) -> list[Recording]:
    """Return the recordings of a call or conference, oldest first."""
    return [*world.recordings_of.get(sid, ())]


def close(world: World, sid: str) -> None:
    """Finish what still records a call or conference that is over."""
    for recording in of(world, sid):
        finish(world, recording)
