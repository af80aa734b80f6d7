"""The parameters that Twilio sends: exactly these names, every value a string (twilio-facts.md section 2).

Pure functions from the world's objects to field maps; who sends them, and when, is decided elsewhere.
"""

from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from math import ceil

from emulator.entities import Call, CallStatus, Conference, Departure, Direction, Participant, Recording

API_VERSION = "2010-04-01"
COUNTRIES = {"+1": "US", "+33": "FR", "+44": "GB", "+49": "DE", "+39": "IT", "+34": "ES", "+31": "NL", "+61": "AU"}
GEO = ("City", "Country", "State", "Zip")


@lru_cache(maxsize=256)
def _rfc2822(second: int) -> str:
    return format_datetime(datetime.fromtimestamp(second, UTC))


def rfc2822(at: float) -> str:
    """Return a timestamp such as ``Wed, 02 Sep 2026 10:11:12 +0000`` (epoch seconds in)."""
    return _rfc2822(int(at))


def text(value: bool) -> str:  # noqa: FBT001 - a conversion
    """Return Twilio's spelling of a boolean."""
    return "true" if value else "false"


def country(number: str) -> str:
    """Return the ISO country of a number's prefix, or nothing."""
    return next((COUNTRIES[number[:size]] for size in (4, 3, 2) if number[:size] in COUNTRIES), "")


def static_fields(call: Call) -> dict[str, str]:
    """Return the fields of a call that never change: who, whom, where. Kept on the call."""
    fields = {
        "AccountSid": call.account_sid,
        "ApiVersion": API_VERSION,
        "CallSid": call.sid,
        "Direction": call.direction,
        "From": call.from_,
        "Caller": call.from_,
        "To": call.to,
        "Called": call.to,
    }
    for names, number in ((("From", "Caller"), call.from_), (("To", "Called"), call.to)):
        if number.startswith("+"):
            values = {"City": "", "Country": country(number), "State": "", "Zip": ""}
            fields.update({f"{name}{part}": values[part] for name in names for part in GEO})
    if call.parent_call_sid:
        fields["ParentCallSid"] = call.parent_call_sid
    if call.application_sid:
        fields["ApplicationSid"] = call.application_sid
    return fields


def call_fields(call: Call) -> dict[str, str]:
    """Return the fields of section 2.1, common to every request about a call."""
    if not call.static_fields:
        call.static_fields = static_fields(call)
    status = CallStatus.QUEUED if call.status is CallStatus.INITIATED else call.status
    return {**call.static_fields, "CallStatus": status.value}


def voice_fields(call: Call) -> dict[str, str]:
    """Return the fields of a request for TwiML: an incoming call's, or a running one's."""
    fields = call_fields(call)
    if call.direction is Direction.INBOUND and call.from_.startswith("+"):
        fields["StirVerstat"] = "TN-Validation-Passed-A"
        fields["CallToken"] = f'{{"parentCallInfoToken":"{call.sid}"}}'
    if call.answered_by is not None and call.detection is not None and not call.detection.asynchronous:
        fields.update(detection_verdict(call))
    return {**call.custom, **fields}


def progress_fields(call: Call, status: CallStatus, sequence: int, at: float) -> dict[str, str]:
    """Return a call status callback (section 2.3)."""
    fields = call_fields(call)
    fields["CallStatus"] = status.value
    fields["Timestamp"] = rfc2822(at)
    fields["CallbackSource"] = "call-progress-events"
    fields["SequenceNumber"] = str(sequence)
    outbound = call.direction is not Direction.INBOUND
    if status in {CallStatus.RINGING, CallStatus.IN_PROGRESS} and outbound and call.to.startswith("+"):
        fields["StirStatus"] = "A"
    if call.answered_by is not None:
        fields["AnsweredBy"] = call.answered_by
    if status.terminal:
        seconds = talk_seconds(call)
        fields["CallDuration"] = str(seconds)
        if status is CallStatus.COMPLETED:
            fields["Duration"] = str(max(ceil(seconds / 60), 1))
        if outbound and call.sip_code is not None:
            fields["SipResponseCode"] = str(call.sip_code)
    return fields


def recorded_fields(recording: Recording, url: str) -> dict[str, str]:
    """Return what a terminal callback of a call with ``Record=true`` adds (section 2.3)."""
    return {
        "RecordingUrl": url,
        "RecordingSid": recording.sid,
        "RecordingDuration": str(recording.duration_s or 0),
    }


def talk_seconds(call: Call) -> int:
    """Return the whole seconds between answer and end."""
    if call.answered_at is None or call.ended_at is None:
        return 0
    return round(call.ended_at - call.answered_at)


def detection_verdict(call: Call) -> dict[str, str]:
    """Return the two fields that answering-machine detection adds (section 2.8)."""
    return {"AnsweredBy": call.answered_by or "", "MachineDetectionDuration": str(call.detected_after_ms or 0)}


def detection_fields(call: Call) -> dict[str, str]:
    """Return an AMD callback (section 2.8)."""
    return {"AccountSid": call.account_sid, "CallSid": call.sid, **detection_verdict(call)}


def conference_fields(conference: Conference, event: str, sequence: int, at: float) -> dict[str, str]:
    """Return the fields of every conference callback (section 2.5)."""
    return {
        "AccountSid": conference.account_sid,
        "ConferenceSid": conference.sid,
        "FriendlyName": conference.name,
        "StatusCallbackEvent": event,
        "SequenceNumber": str(sequence),
        "Timestamp": rfc2822(at),
    }


def participant_fields(participant: Participant, *, with_coached: bool) -> dict[str, str]:
    """Return what participant events add; ``with_coached`` is switch U21."""
    fields = {
        "CallSid": participant.call.sid,
        "Muted": text(participant.muted),
        "Hold": text(participant.hold),
        "Coaching": text(participant.coaching),
        "StartConferenceOnEnter": text(participant.start_on_enter),
        "EndConferenceOnExit": text(participant.end_on_exit),
    }
    if participant.label:
        fields["ParticipantLabel"] = participant.label
    if with_coached and participant.call_sid_to_coach:
        fields["CallSidToCoach"] = participant.call_sid_to_coach
    return fields


def departure_fields(departure: Departure) -> dict[str, str]:
    """Return what ``participant-leave`` adds."""
    return {"ReasonParticipantLeft": departure.reason, "ParticipantCallStatus": departure.call_status.value}


def media_fields(participant: Participant, *, with_conference: bool) -> dict[str, str]:
    """Return the request for wait or hold music (section 2.6, U6)."""
    fields = voice_fields(participant.call)
    if with_conference:
        fields["ConferenceSid"] = participant.conference.sid
        fields["FriendlyName"] = participant.conference.name
    return fields


def recording_fields(recording: Recording, url: str, event: str) -> dict[str, str]:
    """Return a recording status callback (section 2.7).

    ``url`` is the recording's without extension; ``event`` is the RecordingStatus.
    """
    fields = {
        "AccountSid": recording.account_sid,
        "RecordingSid": recording.sid,
        "RecordingUrl": url,
        "RecordingStatus": event,
        "RecordingChannels": str(recording.wish.channels),
        "RecordingStartTime": rfc2822(recording.created_at),
        "RecordingSource": recording.wish.source,
    }
    if recording.conference_sid:
        fields["ConferenceSid"] = recording.conference_sid
    else:
        fields["CallSid"] = recording.call_sid
        fields["RecordingTrack"] = recording.wish.track
    if event == "completed":
        fields["RecordingDuration"] = str(recording.duration_s or 0)
    if event == "absent":
        del fields["RecordingUrl"]
        fields["ErrorCode"] = "16102"
    return fields
