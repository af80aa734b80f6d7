"""Commands: every type's data as other services send it, read tolerantly, refused with words."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema_strategies import any_json, built
from schemas import commands
from schemas.codec import encode
from schemas.commands import COMMANDS, InvalidCommandError, decode_data, name_of, type_of
from schemas.prompts import SAY_MAX_LENGTH, Prompt

# contracts.md section 4, table "Command data".
_NAMES = {
    "call.dial", "call.connect", "call.hold", "call.resume", "call.mute", "call.unmute", "call.transfer",
    "transfer.complete", "transfer.cancel", "transfer.swap", "transfer.merge", "call.supervise", "supervision.switch",
    "supervision.leave", "supervision.takeover", "call.add", "call.remove", "call.announce", "recording.start",
    "recording.pause", "recording.resume", "recording.stop", "call.end",
}  # fmt: skip
_any_command = st.sampled_from(sorted(COMMANDS)).flatmap(lambda name: st.tuples(st.just(name), built(COMMANDS[name])))


def _dial_with_context(entries: int) -> bytes:
    return encode(
        {"agent": "client:a", "to": "client:b", "context": {f"key-{number}": "value" for number in range(entries)}}
    )


def test_the_catalogue_is_the_contract() -> None:
    """Every command that was promised is there, and no other."""
    assert set(COMMANDS) == _NAMES


@pytest.mark.parametrize("name", COMMANDS)
def test_types_carry_a_version(name: str) -> None:
    """A command's CloudEvent type is `cordboard.command.NAME.v1`, and says its name again."""
    assert type_of(name) == f"cordboard.command.{name}.v1"
    assert name_of(type_of(name)) == name


@pytest.mark.parametrize(
    "event_type",
    [
        "", "call.hold", "cordboard.command.call.hold", "cordboard.command.call.hold.v2", "cordboard.command..v1",
        "cordboard.event.call.held.v1", "cordboard.command.call.hold.v1.v1", "Cordboard.command.call.hold.v1",
    ],
)  # fmt: skip
def test_other_types_are_no_commands(event_type: str) -> None:
    """A type of another version or spelling is unknown, not guessed."""
    assert name_of(event_type) is None


@given(_any_command)
def test_a_command_is_read_as_it_was_written(command: tuple[str, commands.CommandData]) -> None:
    """Data that our own structs write is data that we read."""
    name, data = command

    assert decode_data(name, encode(data)) == data


@given(_any_command, st.dictionaries(st.text(min_size=1, max_size=12).map("x-{}".format), any_json, max_size=3))
def test_unknown_fields_are_left_aside(command: tuple[str, commands.CommandData], extra: dict[str, object]) -> None:
    """A newer producer may say more than we know."""
    name, data = command
    fields = msgspec.json.decode(encode(data))

    assert decode_data(name, encode({**extra, **fields})) == data


def test_unknown_fields_are_left_aside_within_fields() -> None:
    """The same holds for what lies inside: a prompt with a voice, a reason that we do not know."""
    connect = decode_data("call.connect", b'{"to": "client:a", "whisper": {"say": "hello", "voice": "x"}}')
    transfer = decode_data(
        "call.transfer", b'{"mode": "cold", "targets": ["client:a"], "on_failure": {"busy": "recall", "asleep": "x"}}'
    )

    assert connect == commands.Connect(to="client:a", whisper=Prompt(say="hello"))
    assert isinstance(transfer, commands.Transfer)
    assert transfer.on_failure == commands.OnFailure(busy=commands.Disposition.RECALL)


@pytest.mark.parametrize("data", [b"", b"null", b"{}", b" {} "])
@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("call.hold", commands.Hold()),
        ("call.resume", commands.Resume()),
        ("transfer.cancel", commands.SteerTransfer()),
        ("recording.stop", commands.SteerRecording()),
        ("call.end", commands.End()),
    ],
)
def test_data_may_be_absent_where_nothing_is_needed(name: str, data: bytes, meant: commands.CommandData) -> None:
    """A command with no required field needs no data."""
    assert decode_data(name, data) == meant


def test_defaults_are_the_contract() -> None:
    """What is not said means what contracts.md says: hold the customer, release on answer."""
    assert decode_data("call.hold", b"{}") == commands.Hold(leg="customer", audio=None)
    transfer = decode_data("call.transfer", b'{"mode": "warm", "targets": ["queue:billing"]}')
    assert isinstance(transfer, commands.Transfer)
    assert transfer.release is commands.Release.ON_ANSWER
    assert (transfer.initiator, transfer.on_failure, transfer.context) == (None, None, None)


@pytest.mark.parametrize(
    ("name", "data", "field"),
    [
        ("call.mute", b"{}", "leg"),
        ("call.mute", b'{"leg": 1}', "$.leg"),
        ("call.mute", b'{"leg": "boss-1"}', "$.leg"),
        ("call.mute", b'{"leg": "agent-1\\n"}', "$.leg"),
        ("call.dial", b'{"agent": "client:a"}', "to"),
        ("call.dial", b'{"agent": "client:a", "to": "+15550100"}', "$.to"),
        ("call.dial", b'{"agent": "client:a", "to": "phone:+15550100", "from": 5}', "$.from"),
        ("call.dial", b'{"agent": "client:a", "to": "client:b", "context": {"k": 1}}', "$.context"),
        ("call.dial", b'{"agent": "client:a", "to": "client:b", "context": {"": "x"}}', "$.context"),
        ("call.dial", _dial_with_context(65), "$.context"),
        ("call.connect", b'{"to": "client:a", "ring_timeout_s": 0}', "$.ring_timeout_s"),
        ("call.connect", b'{"to": "client:a", "ring_timeout_s": 601}', "$.ring_timeout_s"),
        ("call.connect", b'{"to": "client:a", "ring_timeout_s": 20.5}', "$.ring_timeout_s"),
        ("call.connect", b'{"to": "client:a", "ring_timeout_s": true}', "$.ring_timeout_s"),
        ("call.connect", b'{"to": "client:a", "whisper": "hello"}', "$.whisper"),
        ("call.connect", b'{"to": "client:a", "whisper": {}}', "$.whisper"),
        ("call.connect", b'{"to": "client:a", "whisper": {"say": ""}}', "$.whisper"),
        ("call.connect", b'{"to": "client:a", "whisper": {"play": "file:///etc/passwd"}}', "`play`"),
        ("call.hold", b'{"audio": "javascript:alert(1)"}', "`audio`"),
        ("call.transfer", b'{"mode": "hot", "targets": ["client:a"]}', "$.mode"),
        ("call.transfer", b'{"mode": "cold", "targets": []}', "$.targets"),
        ("call.transfer", b'{"mode": "cold", "targets": "client:a"}', "$.targets"),
        ("call.transfer", b'{"mode": "cold", "targets": ["client:a", "b"]}', "$.targets[1]"),
        ("call.transfer", b'{"mode": "cold", "targets": ["client:a"], "on_failure": {"busy": 1}}', "on_failure.busy"),
        ("call.supervise", b'{"mode": "whisper", "supervisor": "client:a"}', "$.mode"),
        ("supervision.switch", b'{"supervisor": "client:a", "mode": "barge"}', "$.supervisor"),
        ("call.add", b'{"to": "client:a", "role": "customer"}', "$.role"),
        ("call.announce", b"{}", "`say` and `play`"),
        ("call.announce", b'{"say": "x", "play": "https://a/b"}', "`say` and `play`"),
        ("call.end", b'{"reason": ""}', "$.reason"),
        ("call.end", b"[]", "object"),
        ("call.end", b'"now"', "object"),
    ],
)  # fmt: skip
def test_bad_data_is_refused_by_the_name_of_its_field(name: str, data: bytes, field: str) -> None:
    """A refusal names the field, so that its sender can mend it without asking us."""
    with pytest.raises(InvalidCommandError) as refused:
        decode_data(name, data)

    assert field in str(refused.value)


def test_a_context_may_have_64_entries() -> None:
    """A context is bounded, because the call carries it in every state record."""
    dial = decode_data("call.dial", _dial_with_context(64))

    assert isinstance(dial, commands.Dial)
    assert len(dial.context or {}) == 64


@pytest.mark.parametrize("data", [b"{", b"{]", b"\xff\xfe", b'{"leg": "\xff"}', b"[" * 200_000, b"{} {}"])
def test_bytes_that_are_no_json_are_refused(data: bytes) -> None:
    """Whatever bytes come, there is one error, and whoever reads the topic goes on."""
    with pytest.raises(InvalidCommandError):
        decode_data("call.mute", data)


def test_an_unknown_command_is_refused_with_the_known_ones() -> None:
    """The refusal of an unknown name lists what could have been meant, and repeats no endless name."""
    with pytest.raises(InvalidCommandError, match=r"call\.hold") as refused:
        decode_data("call.park" + "x" * 10_000, b"{}")

    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize(
    ("say", "fits"),
    [
        ("x", True), ("x" * SAY_MAX_LENGTH, True), ("x" * (SAY_MAX_LENGTH + 1), False), ("", False),
        ("two\nlines\tand a tab", True), ("schön 你好 🙂", True), ("null \x00", False), ("escape \x1b", False),
    ],
)  # fmt: skip
def test_a_spoken_text_must_fit_into_twiml(say: str, fits: bool) -> None:
    """TwiML is XML: a text that XML cannot hold, or that Twilio would refuse, is refused before it is a command."""
    if fits:
        assert Prompt(say=say).say == say
        return
    with pytest.raises(ValueError, match="`say` must have 1 to 4,000 characters"):
        Prompt(say=say)


@pytest.mark.parametrize("fields", [{}, {"say": "a", "play": "https://a/b"}])
def test_a_prompt_is_one_of_two(fields: dict[str, str]) -> None:
    """Neither a text nor a file, or both, is no prompt."""
    with pytest.raises(ValueError, match="exactly one of `say` and `play`"):
        Prompt(**fields)


@given(_any_command)
def test_absent_and_null_are_the_same_for_optional_fields(command: tuple[str, commands.CommandData]) -> None:
    """A producer that writes `null` for what it does not say is understood, where the default is `null`."""
    name, data = command
    written = msgspec.json.decode(encode(data))
    nulls = {
        field.encode_name: None
        for field in msgspec.structs.fields(type(data))
        if field.default is None and field.encode_name not in written
    }

    assert decode_data(name, encode({**written, **nulls})) == data
