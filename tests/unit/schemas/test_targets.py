"""Targets: who can be called, and who cannot."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.targets import TARGET_PATTERN, InvalidTargetError, TargetKind, TargetText, parse_target, target_of_address

_APP = "AP" + "0a" * 16
_GOOD = {
    "phone:+15550100": ("phone", "+15550100"),
    "sip:desk@pbx.example.com": ("sip", "desk@pbx.example.com"),
    "sip:desk@pbx.example.com:5061;transport=tls": ("sip", "desk@pbx.example.com:5061;transport=tls"),
    "client:maria": ("client", "maria"),
    "client:maria@example.com": ("client", "maria@example.com"),
    "queue:billing": ("queue", "billing"),
    "queue:billing-de:2": ("queue", "billing-de:2"),
    f"app:{_APP}": ("app", _APP),
    f"app:{_APP}?lang=de&voice=x:y": ("app", f"{_APP}?lang=de&voice=x:y"),
}
_BAD = [
    "", "maria", "+15550100", "phone:", "phone:15550100", "phone:+0555", "phone:+1", "phone:+1555010012345678",
    "phone:+1555\n", "phone:+1 555", "tel:+15550100", "PHONE:+15550100", "sip:pbx.example.com", "sip:@pbx", "sip:a@",
    "sip:a b@c", "sip:a\x00b@c", "client:", "client:a b", "client:<x>", "client:" + "a" * 122, "queue:", "queue:a b",
    "queue:a?b", "queue:a\x07", "app:AP1", f"app:{_APP}?", f"app:{_APP}?a#b", f"app:{_APP}\n",
]  # fmt: skip


@pytest.mark.parametrize(("text", "parts"), _GOOD.items())
def test_a_target_is_kind_and_address(text: str, parts: tuple[str, str]) -> None:
    """Every kind of target is read, and written as it was."""
    target = parse_target(text)

    assert (target.kind.value, target.address) == parts
    assert str(target) == text
    assert msgspec.convert(text, TargetText) == text


@pytest.mark.parametrize("text", _BAD)
def test_nobody_is_refused(text: str) -> None:
    """Text that names nobody is refused, with what is allowed, by the parser and by the decoders."""
    with pytest.raises(InvalidTargetError, match="expected phone:"):
        parse_target(text)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(text, TargetText)


@given(st.from_regex(TARGET_PATTERN, fullmatch=True))
def test_every_target_is_written_as_it_was_read(text: str) -> None:
    """Reading and writing a target changes nothing."""
    assert str(parse_target(text)) == text


@given(st.text(max_size=60) | st.builds("{}:{}".format, st.sampled_from(list(TargetKind)), st.text(max_size=40)))
def test_parser_and_decoder_agree(text: str) -> None:
    """No text is a target in one place and none in another."""
    try:
        parse_target(text)
    except InvalidTargetError:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(text, TargetText)
    else:
        assert msgspec.convert(text, TargetText) == text


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("phone:+15550100", "+15550100"),
        ("client:maria", "client:maria"),
        ("sip:desk@pbx.example.com", "sip:desk@pbx.example.com"),
        (f"app:{_APP}?x=1", f"app:{_APP}?x=1"),
    ],
)
def test_twilio_gets_its_own_form(text: str, address: str) -> None:
    """Twilio's `To` has a bare number for a phone and the prefixed form for the rest."""
    assert parse_target(text).twilio_address == address


@pytest.mark.parametrize("text", [text for text in _GOOD if not text.startswith("queue:")])
def test_a_caller_can_be_called_back(text: str) -> None:
    """The target behind Twilio's own form of an address is the one that it was made from."""
    assert target_of_address(parse_target(text).twilio_address) == parse_target(text)


@pytest.mark.parametrize("address", ["", "anonymous", "Anonymous", "12345", "+", "client:", "+266696687x"])
def test_a_withheld_caller_is_nobody(address: str) -> None:
    """A withheld or odd address is no target, and no error."""
    assert target_of_address(address) is None
