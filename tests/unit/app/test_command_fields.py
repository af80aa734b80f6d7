"""`--name value` becomes a command's data as its struct says."""

import json

import pytest

from cordboard.app.command_fields import UsageError, data_of, short_name


def data(name: str, *arguments: str, given: str | None = None) -> object:
    """The data of a command line."""
    return json.loads(data_of(name, given, arguments))


def test_values_take_the_kind_that_the_field_has() -> None:
    """Numbers, lists and mappings are read as such; text stays text."""
    assert data(
        "call.transfer", "--mode", "cold", "--targets", "phone:+15550122,client:alice", "--ring-timeout-s", "15",
        "--context", "order=17", "--context", "vip=yes", "--on-failure", "busy=recall",
    ) == {
        "mode": "cold", "targets": ["phone:+15550122", "client:alice"], "ring_timeout_s": 15,
        "context": {"order": "17", "vip": "yes"}, "on_failure": {"busy": "recall"},
    }  # fmt: skip


def test_a_list_is_given_by_its_singular_and_by_repeating() -> None:
    """`--target` twice is a list of two; a JSON list is one too."""
    expected = {"mode": "warm", "targets": ["client:a", "client:b"]}

    assert data("call.transfer", "--mode", "warm", "--target", "client:a", "--target=client:b") == expected
    assert data("call.transfer", "--mode", "warm", "--targets", '["client:a", "client:b"]') == expected


def test_fields_go_over_the_data() -> None:
    """`--data` gives the whole, single fields change it; `--field name=value` says the same as `--name value`."""
    given = '{"mode": "cold", "targets": ["client:a"]}'

    assert data("call.transfer", "--field", "mode=warm", given=given) == {"mode": "warm", "targets": ["client:a"]}


def test_digits_stay_text_where_the_field_is_text() -> None:
    """A reason that looks like a number is still a reason."""
    assert data("call.end", "--reason", "17") == {"reason": "17"}


def test_nested_data_may_be_json() -> None:
    """A whisper is given as name=value or as JSON."""
    expected = {"to": "client:a", "whisper": {"say": "A customer, from the shop"}}

    assert data("call.connect", "--to", "client:a", "--whisper", "say=A customer, from the shop") == expected
    assert data("call.connect", "--to", "client:a", "--whisper", '{"say": "A customer, from the shop"}') == expected


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("call.hold", ("--colour", "red"), "call.hold has no field --colour; its fields: --leg, --audio"),
        ("call.hold", ("red",), "'red' is not understood"),
        ("call.hold", ("--leg",), "--leg needs a value"),
        ("call.hold", ("--leg", "a", "--leg", "b"), "it takes one value"),
        ("call.hold", ("--leg", "nobody"), "call.hold: "),
        ("call.transfer", ("--mode", "cold"), "targets"),
        ("call.transfer", ("--mode", "cold", "--targets", "[1"), "is not JSON"),
        ("call.transfer", ("--on-failure", "busy"), "takes name=value"),
        ("call.connect", ("--to", "client:a", "--ring-timeout-s", "soon"), "ring_timeout_s"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_sent(name: str, arguments: tuple[str, ...], told: str) -> None:
    """A command that could only be rejected is wrong usage."""
    with pytest.raises(UsageError, match=r".*") as refused:
        data_of(name, None, arguments)

    assert told in str(refused.value)


@pytest.mark.parametrize("text", ["[1]", "{", '"text"'])
def test_data_must_be_a_json_object(text: str) -> None:
    """Anything else is refused."""
    with pytest.raises(UsageError, match="--data"):
        data_of("call.hold", text, ())


def test_commands_are_named_short_or_in_full() -> None:
    """Both names of a command are understood, and a near miss is helped."""
    assert short_name("call.hold") == short_name("cordboard.command.call.hold.v1") == "call.hold"
    with pytest.raises(UsageError, match=r"did you mean .*call\.transfer"):
        short_name("call.tranfser")
