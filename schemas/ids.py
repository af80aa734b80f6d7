"""Identities and how they are derived. Every id is a function of what it names; none is drawn (design.md section 4).

The `Annotated` types are checked by msgspec wherever a message is decoded at an edge; the `parse_…` functions check
text that comes from elsewhere (a URL, the command line).
"""

import re
from hashlib import blake2b
from typing import Annotated

from msgspec import Meta

# `\Z` and not `$`, which in Python lets a newline follow; the generated schemas say `$`, which in JSON Schema does not.
CALL_ID_PATTERN = r"^[A-Za-z0-9_-]{1,64}\Z"
LEG_ID_PATTERN = r"^(customer|agent|target|supervisor|ai|third)-[1-9][0-9]{0,5}\Z"
CALL_SID_PATTERN = r"^CA[0-9a-fA-F]{32}\Z"
CONFERENCE_SID_PATTERN = r"^CF[0-9a-fA-F]{32}\Z"
ACCOUNT_SID_PATTERN = r"^AC[0-9a-fA-F]{32}\Z"
TASK_SID_PATTERN = r"^WT[0-9a-fA-F]{32}\Z"
FIRST_ROOM = 1

CallId = Annotated[str, Meta(pattern=CALL_ID_PATTERN, description="Identity of a call: a CallSid, or derived.")]
LegId = Annotated[str, Meta(pattern=LEG_ID_PATTERN, description="A leg of a call: role and number, `agent-1`.")]
CallSid = Annotated[str, Meta(pattern=CALL_SID_PATTERN)]
ConferenceSid = Annotated[str, Meta(pattern=CONFERENCE_SID_PATTERN)]
AccountSid = Annotated[str, Meta(pattern=ACCOUNT_SID_PATTERN)]

_CALL_ID = re.compile(CALL_ID_PATTERN)
_ROOM = re.compile(r"room(?:[2-9])?-(.+)\Z", re.DOTALL)
_LEG_ID = re.compile(LEG_ID_PATTERN)
_CALL_SID = re.compile(CALL_SID_PATTERN)
_TASK_SID = re.compile(TASK_SID_PATTERN)


class InvalidIdError(ValueError):
    """Text that is not the identity it was given as."""


def _matching(pattern: re.Pattern[str], text: str, what: str) -> str:
    if pattern.fullmatch(text) is None:
        message = f"{text[:80]!r} is not {what}: expected {pattern.pattern}"
        raise InvalidIdError(message)
    return text


def parse_call_id(text: str) -> CallId:
    """`text` as a call id. Raises `InvalidIdError`."""
    return _matching(_CALL_ID, text, "a call id")


def parse_leg_id(text: str) -> LegId:
    """`text` as a leg id. Raises `InvalidIdError`."""
    return _matching(_LEG_ID, text, "a leg id")


def parse_call_sid(text: str) -> CallSid:
    """`text` as a Twilio CallSid. Raises `InvalidIdError`."""
    return _matching(_CALL_SID, text, "a CallSid")


def is_call_id(text: str) -> bool:
    """Whether `text` can be a call id."""
    return _CALL_ID.fullmatch(text) is not None


def is_leg_id(text: str) -> bool:
    """Whether `text` can be a leg id."""
    return _LEG_ID.fullmatch(text) is not None


def is_call_sid(text: str) -> bool:
    """Whether `text` can be a CallSid."""
    return _CALL_SID.fullmatch(text) is not None


def is_task_sid(text: str) -> bool:
    """Whether `text` can be the SID of a TaskRouter task."""
    return _TASK_SID.fullmatch(text) is not None


def room_of(call_id: CallId, generation: int = FIRST_ROOM) -> str:
    """The conference friendly name of a call: nothing personal (Twilio's rule for FriendlyName).

    A call whose conference was lost goes on in the next `generation`, at most the ninth: `room2-{call_id}`.
    """
    return f"room{'' if generation == FIRST_ROOM else generation}-{call_id}"


def call_of_room(friendly_name: str) -> CallId | None:
    """The call that a conference belongs to by its friendly name, or None for a conference that is not ours.

    A conference that TaskRouter has made is named after its task, and so is the call that was adopted with it.
    """
    if is_task_sid(friendly_name):
        return friendly_name
    named = _ROOM.fullmatch(friendly_name)
    return named[1] if named is not None and is_call_id(named[1]) else None


def _digest(source: str, command_id: str) -> str:
    return blake2b(command_key(source, command_id).encode(), digest_size=16).hexdigest()


def dialled_call_id(source: str, command_id: str) -> CallId:
    """The call that a `call.dial` command begins: the same for every delivery of that command."""
    return "dial-" + _digest(source, command_id)


def command_key(source: str, command_id: str) -> str:
    """What makes a command the same command: CloudEvents' `source` and `id` together."""
    return f"{source.replace('%', '%25').replace('|', '%7C')}|{command_id}"


def result_id(source: str, command_id: str) -> str:
    """The id of the one result event of a command; a redelivery repeats it."""
    return "result-" + _digest(source, command_id)


def action_id(call_id: CallId, version: int, index: int) -> str:
    """The id of the `index`-th action of the step that made `version` of a call."""
    return f"{call_id}.{version}.{index}"


def event_id(call_id: str, version: int, index: int) -> str:
    """The id of the `index`-th event of the step that made `version` of a call."""
    return f"{call_id}.{version}.e{index}"


def timer_record_id(call_id: CallId, name: str, due_ms: int) -> str:
    """The id of the record that says that a timer fell due: the same however often it fires."""
    return f"timer.{call_id}.{name}.{due_ms}"


def resumed_record_id(call_id: CallId, token: int) -> str:
    """The id of the record that says that the owner of claim `token` has taken the call over."""
    return f"resumed.{call_id}.{token}"


def report_record_id(action: str, outcome: str) -> str:
    """The id of the record that reports an action's outcome."""
    return f"report.{action}.{outcome}"
