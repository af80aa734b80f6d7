"""Who sends bad data reads what would have been taken, never a regular expression."""

import pytest

from schemas.commands import COMMANDS, InvalidCommandError, decode_data

TARGET = "phone:+E164, sip:user@host, client:identity, queue:NAME or app:AP…"


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("call.connect", b'{"to": "15550122"}', f"Expected {TARGET} - at `$.to`"),
        ("call.transfer", b'{"mode": "cold", "targets": ["client:a", "b"]}', f"Expected {TARGET} - at `$.targets[1]`"),
        ("call.mute", b'{"leg": "the boss"}', "Expected leg id (`agent-1`), or a role where only one live leg has it"),
        (
            "call.transfer",
            b'{"mode": "tepid", "targets": ["client:a"]}',
            "Invalid enum value 'tepid' - at `$.mode`: expected cold, warm, consult",
        ),
        (
            "call.transfer",
            b'{"mode": "cold", "targets": ["client:a"], "on_failure": {"busy": "cry"}}',
            "at `$.on_failure.busy`: expected return, recall, requeue, voicemail, announce_end",
        ),
        ("call.connect", b'{"to": 5}', "Expected `str`, got `int` - at `$.to`"),
        ("call.transfer", b'{"mode": "cold"}', "Object missing required field `targets`"),
        ("call.hold", b"[]", "Expected `object`, got `array`"),
    ],
)
def test_the_message_says_what_was_expected(name: str, data: bytes, told: str) -> None:
    """A pattern is told by what it stands for, a choice by its values; what is clear already stays."""
    with pytest.raises(InvalidCommandError) as refused:
        decode_data(name, data)

    assert told in str(refused.value)
    assert "regex" not in str(refused.value)


@pytest.mark.parametrize("name", COMMANDS)
def test_no_field_tells_a_regular_expression(name: str) -> None:
    """Every field of every command that takes text of a form says in words which."""
    told = [_refusal(name, f'{{"{field}": "\\u0000?"}}') for field in COMMANDS[name].__struct_encode_fields__]

    assert [text for text in told if "regex" in text] == []


def _refusal(name: str, data: str) -> str:
    try:
        decode_data(name, data.encode())
    except InvalidCommandError as error:
        return str(error)
    return ""
