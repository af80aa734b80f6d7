"""Browser calls that wait for their agent: when it has joined, the customer is dialled. That moment is measured."""

from urllib.parse import urlencode

from twilio.request_validator import RequestValidator

ACCOUNT = "AC00000000000000000000000000000001"
TOKEN = "local-auth-token"  # noqa: S105 - made up
_VALIDATOR = RequestValidator(TOKEN)


def call_sid(number: int) -> str:
    """The CallSid of the `number`-th call."""
    return f"CA{number:032x}"


def participants_path(room: str) -> str:
    """Where a participant is created."""
    return f"/2010-04-01/Accounts/{ACCOUNT}/Conferences/{room}/Participants.json"


def _signed(public_url: str, target: str, form: dict[str, str]) -> tuple[str, bytes, dict[str, str]]:
    signature = _VALIDATOR.compute_signature(public_url + target, form)
    headers = {
        "X-Twilio-Signature": signature,
        "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
    }
    return target, urlencode(form).encode(), headers


def begins(public_url: str, number: int) -> tuple[str, bytes, dict[str, str]]:
    """Target, body and headers of the webhook by which the call begins."""
    form = {
        "AccountSid": ACCOUNT, "CallSid": call_sid(number), "From": "client:anna", "To": "+15550100001",
        "CallStatus": "ringing", "Direction": "inbound", "ApiVersion": "2010-04-01",
    }  # fmt: skip
    return _signed(public_url, "/v1/voice/twiml", form)


def agent_joins(public_url: str, number: int) -> tuple[str, bytes, dict[str, str]]:
    """Target, body and headers of the conference event that has the customer dialled."""
    sid = call_sid(number)
    form = {
        "AccountSid": ACCOUNT, "ConferenceSid": f"CF{number:032x}", "FriendlyName": f"room-{sid}", "CallSid": sid,
        "StatusCallbackEvent": "participant-join", "SequenceNumber": "1", "ParticipantLabel": "agent-1",
        "Timestamp": "Sat, 21 Nov 2026 10:00:00 +0000", "Muted": "false", "Hold": "false", "Coaching": "false",
        "EndConferenceOnExit": "false", "StartConferenceOnEnter": "true",
    }  # fmt: skip
    return _signed(public_url, f"/v1/voice/conference?call={sid}", form)
