"""A command as it comes in: CloudEvent in, inbox record out. Pure; the same rules over HTTP and from a topic.

What it is not: the HTTP route (`ingress.commands`), the topic router (`engine.router`), and the question whether the
call's state allows the command (`engine.core`).

Two kinds of failure are told apart (contracts.md section 4). What is no CloudEvent raises `InvalidCloudEventError`:
400 over HTTP, a dead letter from a topic. A CloudEvent that asks for something unknown, or wrongly, becomes a
`Command` whose `invalid` says why: 422 over HTTP, `rejected(invalid)` from a topic.
"""

from collections.abc import Mapping
from hashlib import blake2b

from msgspec import UNSET, UnsetType

from schemas.cloudevents import CloudEvent, InvalidCloudEventError, decode_binary, decode_structured, is_binary
from schemas.commands import COMMANDS, InvalidCommandError, decode_data, name_of
from schemas.ids import CALL_ID_PATTERN, CallId, dialled_call_id, is_call_id
from schemas.records import Command
from schemas.times import parse_rfc3339

DIAL = "call.dial"
MAX_ATTRIBUTE = 512
"""Characters of a command's `id`, `source`, `type` and `traceparent`: they are kept and repeated in its result."""


def decode_command(attributes: Mapping[str, str], body: bytes | None) -> CloudEvent:
    """The CloudEvent of a message: binary mode if its headers (`ce_…` or `ce-…`) say so, else structured.

    Raises `InvalidCloudEventError`.
    """
    event = decode_binary(attributes, body or b"") if is_binary(attributes) else decode_structured(body or b"")
    for name in ("id", "source", "type", "subject", "traceparent"):
        _check_attribute(name, getattr(event, name))
    return event


def _check_attribute(name: str, value: str | UnsetType) -> None:
    if isinstance(value, UnsetType):
        return
    if len(value) > MAX_ATTRIBUTE:
        raise InvalidCloudEventError(f"{name} has {len(value)} characters: expected at most {MAX_ATTRIBUTE}")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidCloudEventError(f"{name} is not Unicode text: expected UTF-8")


def text_headers(headers: tuple[tuple[str, bytes], ...]) -> dict[str, str]:
    """A record's headers as `decode_command` takes them; bytes that are not UTF-8 are replaced."""
    return {name: value.decode("utf-8", "replace") for name, value in headers}


def command_of(event: CloudEvent, *, at_ms: int, deadline_s: float) -> Command:
    """The inbox record of a command taken at `at_ms`. Every delivery of one `source` and `id` gets the same record id.

    `deadline_s` bounds the start of the effect where the command names no `deadline`. A command that cannot be read
    has `invalid` set. One without a usable subject still gets a call id of its own, so that its rejection can be told.
    """
    name = name_of(event.type) or ""
    call_id, no_call = _call_of(event, name)
    deadline, no_deadline = _deadline_of(event.deadline, at_ms, deadline_s)
    return Command(
        id=command_record_id(event.source, event.id),
        call_id=call_id,
        at=at_ms,
        command_id=event.id,
        command_source=event.source,
        command_type=event.type,
        data=event.data,
        deadline=deadline,
        name=name,
        invalid=_unreadable(event, name) or no_call or no_deadline,
        trace=None if event.traceparent is UNSET else event.traceparent,
    )


def command_record_id(source: str, command_id: str) -> str:
    """The id of the record of a command."""
    return "command-" + blake2b(f"{source}\n{command_id}".encode(), digest_size=16).hexdigest()


def _unreadable(event: CloudEvent, name: str) -> str | None:
    if not name:
        return (
            f"unknown type {event.type[:120]!r}: expected cordboard.command.NAME.v1, NAME one of {', '.join(COMMANDS)}"
        )
    try:
        decode_data(name, event.data)
    except InvalidCommandError as error:
        return f"bad data of {name}: {error}"
    return None


def _call_of(event: CloudEvent, name: str) -> tuple[CallId, str | None]:
    """The call that a command is for, and what is wrong with its subject. `call.dial` begins a call of its own."""
    own = dialled_call_id(event.source, event.id)
    if name == DIAL:
        return own, None
    if isinstance(event.subject, UnsetType):
        return own, "subject is missing: expected the id of the call"
    if not is_call_id(event.subject):
        return own, f"subject {event.subject[:80]!r} is not a call id: expected {CALL_ID_PATTERN}"
    return event.subject, None


def _deadline_of(deadline: str | UnsetType, at_ms: int, deadline_s: float) -> tuple[int, str | None]:
    default = at_ms + int(deadline_s * 1000)
    if isinstance(deadline, UnsetType):
        return default, None
    try:
        return parse_rfc3339(deadline), None
    except (ValueError, OverflowError):
        return default, f"deadline {deadline[:40]!r} is not RFC 3339 with a zone, such as 2026-11-21T10:00:00Z"
