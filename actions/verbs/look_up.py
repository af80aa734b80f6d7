"""Look at Twilio: the live conference of a room, its participants, calls, and a recording. Changes nothing."""

from twilio.rest.api.v2010.account.conference import ConferenceInstance
from twilio.rest.api.v2010.account.conference.participant import ParticipantInstance

from actions.account import TwilioAccount
from actions.codes import NOT_FOUND
from actions.effect import Effect
from actions.heard import Answer, RequestFailedError
from actions.transport import asked
from schemas.actions import LookUp
from schemas.records import CallSeen, Observation, ParticipantSeen, RecordingSeen

_LIVE = ("in-progress", "init")
"""Asked for one by one: `in-progress` does not find a lone waiting participant (twilio-facts.md 3.4)."""

_MAX_PARTICIPANTS = 250


async def look_up(account: TwilioAccount, action: LookUp) -> Effect:
    """The room's conference, its participants, the calls and the recording named. An unknown call is left out.

    Raises `RequestFailedError`.
    """
    room = await conference_of(account, action.room, action.conference_sid)
    participants = await participants_of(account, room.sid) if room is not None and room.sid else ()
    calls = [found for sid in action.call_sids if (found := await _call(account, sid)) is not None]
    seen = Observation(
        conference_sid=None if room is None else room.sid,
        conference_status=None if room is None else str(room.status),
        participants=participants,
        calls=tuple(calls),
        recording=await _recording(account, action.recorded_sid, action.recording_sid),
    )
    return Effect(answer=Answer(status=200), conference_sid=seen.conference_sid, seen=seen)


async def conference_of(account: TwilioAccount, room: str, sid: str | None) -> ConferenceInstance | None:
    """The live conference of a room: the one of `sid` if it lives, else one of that name, else `sid`'s, else None."""
    known = None if sid is None else await _conference(account, sid)
    if known is not None and str(known.status) in _LIVE:
        return known
    for status in _LIVE:
        query = account.client.conferences.list_async(friendly_name=room, status=status, limit=1)
        found, _ = await asked("conferences.list", query)
        if found:
            return found[0]
    return known


async def participants_of(account: TwilioAccount, conference_sid: str) -> tuple[ParticipantSeen, ...]:
    """Everybody in a conference; nobody where it has ended. Raises `RequestFailedError`."""
    try:
        query = account.client.conferences(conference_sid).participants.list_async(limit=_MAX_PARTICIPANTS)
        found, _ = await asked("participants.list", query)
    except RequestFailedError as error:
        if is_missing(error):
            return ()
        raise
    return tuple(seen_of(item) for item in found)


def seen_of(item: ParticipantInstance) -> ParticipantSeen:
    """A participant of the library as ours."""
    return ParticipantSeen(
        call_sid=item.call_sid or "",
        label=item.label,
        status=str(item.status or ""),
        hold=bool(item.hold),
        muted=bool(item.muted),
        end_on_exit=bool(item.end_conference_on_exit),
        coaching=item.call_sid_to_coach if item.coaching else None,
    )


async def _conference(account: TwilioAccount, sid: str) -> ConferenceInstance | None:
    try:
        found, _ = await asked("conferences.fetch", account.client.conferences(sid).fetch_async())
    except RequestFailedError as error:
        if is_missing(error):
            return None
        raise
    return found


async def _call(account: TwilioAccount, sid: str) -> CallSeen | None:
    try:
        found, _ = await asked("calls.fetch", account.client.calls(sid).fetch_async())
    except RequestFailedError as error:
        if is_missing(error):
            return None
        raise
    return CallSeen(call_sid=sid, status=str(found.status or ""))


async def _recording(account: TwilioAccount, call_sid: str, sid: str | None) -> RecordingSeen | None:
    if sid is None:
        return None
    try:
        found, _ = await asked("recordings.fetch", account.client.calls(call_sid).recordings(sid).fetch_async())
    except RequestFailedError as error:
        if is_missing(error):
            return RecordingSeen(sid, "missing")
        raise
    length = str(found.duration or "")
    return RecordingSeen(sid, str(found.status or ""), int(length) if length.isdecimal() else None)


def is_missing(error: RequestFailedError) -> bool:
    """Whether Twilio said that there is no such thing."""
    return isinstance(error.heard, Answer) and error.heard.status == NOT_FOUND
