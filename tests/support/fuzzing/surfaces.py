"""What the outside can reach, without a socket: each surface takes a random case and raises when a rule is broken.

The sockets are in `wire.py`.
"""

import contextlib
import tempfile
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from random import Random
from urllib.parse import parse_qsl
from xml.etree import ElementTree as ET

import msgspec

from cordboard.accounts import Account, Accounts
from cordboard.errors import SettingsError
from cordboard.policies import read_policies
from engine.core.config import CoreConfig
from engine.core.step import Switchboard
from fuzzing.mutation import damaged
from fuzzing.samples import BODIES, EVENTS, FORMS, POLICIES, TARGET_PATHS, TARGETS, TEXTS
from ingress import twiml
from ingress.forms import MAX_FIELDS, TooManyFieldsError, joined, parse_form, readable, signed_and_readable
from ingress.signature import Verifier, compute_signature
from ingress.webhooks import UnplaceableError, read_webhook
from schemas.cloudevents import InvalidCloudEventError
from schemas.codec import decode_inbox, encode
from schemas.examples import AT_MS, CALL
from schemas.intake import command_of, decode_command
from schemas.policy import Policy
from schemas.prompts import Prompt
from schemas.records import Inbox
from schemas.routes import Route, callback_url
from schemas.state import Call
from schemas.targets import InvalidTargetError, parse_target
from schemas.webhooks import Source

ACCOUNT, TOKEN = "AC" + "a" * 32, "token-of-the-account"  # made up
PUBLIC_URL = "https://calls.example.com"
_VERIFIER = Verifier(Accounts([Account(sid=ACCOUNT, auth_tokens=(TOKEN,), shared_keys={"CR1": "shared"})]), PUBLIC_URL)
_BOARD = Switchboard(CoreConfig(account_sid=ACCOUNT, number="+15550100"))
_TAGS = {"Response", "Dial", "Conference", "Play", "Say", "Pause", "Redirect", "Record", "Hangup"}


def forms(random: Random) -> None:
    """Our parser gives what `parse_qsl` gives, and text that can be stored."""
    body = damaged(random, BODIES)
    try:
        pairs = parse_form(body)
    except TooManyFieldsError:
        assert body.count(b"&") >= MAX_FIELDS
        return
    text = body.decode("utf-8", "surrogateescape")
    assert pairs == parse_qsl(text, keep_blank_values=True, errors="surrogateescape")
    signed, fields = signed_and_readable(pairs)
    assert signed == joined(pairs)
    assert fields == readable(pairs)
    encode(fields)


def signatures(random: Random) -> None:
    """Nothing passes that has not been signed with our token; what has been does."""
    target, fields = damaged(random, TARGET_PATHS), joined(parse_form(random.choice(BODIES)))
    text = (PUBLIC_URL + target + fields).encode("utf-8", "surrogateescape")
    right = compute_signature(TOKEN.encode(), text).decode()
    assert _VERIFIER.check(target, fields, ACCOUNT, right) is None
    wrong = damaged(random, (right,))
    if _same_bytes(right, wrong):
        return
    settings = damaged(random, ("key=CR1,algorithm=HMAC_SHA256",)) if random.random() < 0.3 else None
    account = random.choice((ACCOUNT, None, "AC" + "b" * 32, damaged(random, (ACCOUNT,))))
    assert _VERIFIER.check(target, fields, account, wrong, settings) is not None
    assert _VERIFIER.check(target, damaged(random, (fields,)) + "x", account, right) is not None
    forged = compute_signature(damaged(random, (TOKEN,)).encode("utf-8", "surrogateescape") + b"x", text).decode()
    assert _VERIFIER.check(target, fields, account, forged, settings) is not None


def _same_bytes(one: str, other: str) -> bool:
    """A Base64 text has spellings that differ in bits which mean nothing; ours must be the same text."""
    with contextlib.suppress(ValueError):
        return one == other and b64decode(one) == b64decode(other)
    return False


def commands(random: Random) -> None:
    """A command is no CloudEvent, or a record that can be stored, read again and applied."""
    attributes: dict[str, str] = {}
    if random.random() < 0.3:
        names = ("ce-id", "ce-source", "ce-type", "ce-subject", "ce_specversion", "ce-deadline", "ce-time")
        attributes = {name: damaged(random, ("1.0", *TEXTS)) for name in random.sample(names, 5)}
        attributes["ce-specversion"] = "1.0"
    try:
        body = _misfitting(random) if random.random() < 0.5 else damaged(random, EVENTS)
        event = decode_command(attributes, body)
        command = command_of(event, at_ms=AT_MS, deadline_s=60)
    except InvalidCloudEventError as error:
        _require_short(error)
        return
    _require_short(command.invalid)
    _apply(command)


def _require_short(told: object) -> None:
    """Nobody gets his megabyte back."""
    assert len(str(told)) < 2000


def _misfitting(random: Random) -> bytes:
    """A command that is good JSON, with values that are not what is expected."""
    event = msgspec.json.decode(random.choice(EVENTS))
    for _ in range(random.randint(1, 3)):
        place = event["data"] if random.random() < 0.7 and isinstance(event["data"], dict) else event
        name = random.choice((*place, "extra"))
        place[name] = random.choice((None, True, -1, 2**70, 1e300, [], {}, [[]], damaged(random, (*TARGETS, *TEXTS))))
    return msgspec.json.encode(_unsurrogated(event))


def _unsurrogated(value: object) -> object:
    """JSON has no lone surrogates; nor has what msgspec writes."""
    if isinstance(value, dict):
        return {_unicode(str(name)): _unsurrogated(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_unsurrogated(item) for item in value]
    return _unicode(value) if isinstance(value, str) else value


def targets(random: Random) -> None:
    """A target is refused, or reads as it was written and has nothing in it that breaks a line."""
    text = damaged(random, TARGETS)
    try:
        target = parse_target(text)
    except InvalidTargetError as error:
        _require_short(error)
        return
    assert str(target) == text
    assert not any(character < " " or character == "\x7f" for character in target.twilio_address)


def webhooks(random: Random) -> None:
    """A signed callback is unplaceable, or a record that can be stored, read again and applied."""
    fields = dict(random.choice(FORMS))
    for _ in range(random.randint(0, 4)):
        name = damaged(random, tuple(fields)) if random.random() < 0.2 else random.choice(tuple(fields))
        fields[name] = damaged(random, (fields.get(name, ""), *TEXTS))
    query = {"call": CALL, "leg": "agent-1", "a": "x"}
    for name in tuple(query):
        if random.random() < 0.1:
            query[name] = damaged(random, (query[name],))
    source = random.choice(tuple(Source)) if random.random() < 0.2 else _source_of(fields)
    fields, query = _stored(fields), _stored(query)
    try:
        record = read_webhook(source, query, fields, AT_MS)
    except UnplaceableError as error:
        _require_short(error.reason)
        return
    _apply(record)


def _source_of(fields: dict[str, str]) -> Source:
    """Whose callback it is, by a name that only its kind has."""
    kinds = {
        "StatusCallbackEvent": Source.CONFERENCE, "AnsweredBy": Source.AMD, "RecordingStatus": Source.RECORDING,
        "TaskAttributes": Source.TASK, "SequenceNumber": Source.STATUS, "CallStatus": Source.VOICE,
    }  # fmt: skip
    return next((source for name, source in kinds.items() if name in fields), Source.STATUS)


def _stored(texts: dict[str, str]) -> dict[str, str]:
    """As `forms.readable` hands them on: Unicode text."""
    return {_unicode(name): _unicode(value) for name, value in texts.items()}


def _unicode(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _apply(record: Inbox) -> None:
    """Through the codec, then to a call that is not there and to one that has begun."""
    again = decode_inbox(encode(record))
    assert encode(again) == encode(record)
    step = _BOARD.step(None, again)
    for call in (step.call, _begun(record.call_id)):
        after = _BOARD.step(call, again).call
        assert after is None or msgspec.json.decode(encode(after), type=Call) == after


def _begun(call_id: str) -> Call | None:
    form = {"CallSid": CALL, "AccountSid": ACCOUNT, "From": "+15550111", "To": "+15550100", "CallStatus": "ringing"}
    record = read_webhook(Source.VOICE, {"call": call_id}, form, AT_MS - 1)
    return _BOARD.step(None, record).call


def documents(random: Random) -> None:
    """TwiML stays what it is, whatever texts and URLs it is made of: no element comes in through them."""
    say, play = _unicode(damaged(random, TEXTS)), _unicode(damaged(random, TEXTS))
    url = callback_url(PUBLIC_URL, Route.WAIT, say=say, audio=play)
    for document in (
        twiml.waiting(random.choice((say, None)), url),
        twiml.into_room(PUBLIC_URL, CALL, "customer-1", Policy(wait_audio=say)),
        twiml.prompt_once(_prompt(say, play)),
        twiml.voicemail(url, _prompt(say, play)),
        twiml.please_hold(url),
    ):
        root = ET.fromstring(document)  # noqa: S314 - our own document
        assert root.tag == "Response"
        assert {element.tag for element in root.iter()} <= _TAGS
        assert len(document) < twiml.MAX_BYTES


def _prompt(say: str, play: str) -> Prompt | None:
    """What the ingress would make of a query with these values."""
    try:
        return twiml.prompt_of({"say": say} if len(say) % 2 else {"play": play})
    except ValueError:
        return None


def policies(random: Random) -> None:
    """A policy file is refused with a message, or gives policies that can be stored and read again."""
    with tempfile.NamedTemporaryFile(suffix=".toml") as file:
        path = Path(file.name)
        path.write_text(damaged(random, POLICIES), errors="surrogateescape")
        try:
            read = read_policies(path)
        except SettingsError:
            return
    for policy in (read.defaults, *read.by_number.values()):
        assert msgspec.json.decode(encode(policy), type=Policy) == policy


SURFACES: dict[str, Callable[[Random], None]] = {
    surface.__name__: surface for surface in (forms, signatures, commands, targets, webhooks, documents, policies)
}
