"""Form parsing is exactly `parse_qsl(keep_blank_values=True)`, only faster."""

from urllib.parse import parse_qsl, quote_plus, urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingress import forms
from ingress.forms import MAX_FIELDS, TooManyFieldsError, joined, parse_form, readable, signed_and_readable

pieces = st.sampled_from(["CallSid", "=", "&", "+", "%", "%2B", "%20", "%zz", "%4", "%C3%A9", "%ff", ";", "é", " ", ""])
bodies = st.lists(pieces | st.text(max_size=4), max_size=30).map("".join)


@given(bodies)
@example("a=1&b=&c&=d&&a=2&%41=%2B+%C3%A9")
def test_same_as_the_standard_library(body: str) -> None:
    """Any text in UTF-8 gives what the standard library gives: order, blanks, repeated names, broken escapes."""
    expected = parse_qsl(body, keep_blank_values=True, errors="surrogateescape")
    assert parse_form(body.encode()) == expected
    assert parse_form(body.encode()) == expected  # from the cache


@given(st.binary(max_size=80))
def test_bytes_that_are_not_utf8_come_back(body: bytes) -> None:
    """Any bytes parse as in the standard library, and their own bytes can be had back for the signature."""
    pairs = parse_form(body)
    text = body.decode("utf-8", "surrogateescape")
    assert pairs == parse_qsl(text, keep_blank_values=True, errors="surrogateescape")
    for name, value in pairs:
        (name + value).encode("utf-8", "surrogateescape")


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_quoted_bytes_survive(name: bytes, value: bytes) -> None:
    """Percent-encoded bytes of any kind are the signed bytes after parsing."""
    body = f"{quote_plus(name)}={quote_plus(value)}".encode()
    pairs = parse_form(body)
    assert [(n.encode("utf-8", "surrogateescape"), v.encode("utf-8", "surrogateescape")) for n, v in pairs] == [
        (name, value)
    ]


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=20))
def test_undoes_encoding(fields: list[tuple[str, str]]) -> None:
    """What was encoded as a form is what comes out of it."""
    assert parse_form(urlencode(fields).encode()) == fields


@given(st.binary(max_size=80))
def test_readable_is_unicode(body: bytes) -> None:
    """The record's text can always be written as UTF-8."""
    for name, value in readable(parse_form(body)).items():
        assert (name + value).encode().decode() == name + value


def test_first_of_a_repeated_name_is_read() -> None:
    """Of a repeated name the record holds the first value."""
    assert readable([("a", "1"), ("a", "2")]) == {"a": "1"}


@given(st.lists(st.tuples(st.sampled_from(["a", "A", "b", "é", ""]) | st.text(max_size=3), st.text(max_size=3))))
def test_short_cut_gives_the_same(fields: list[tuple[str, str]]) -> None:
    """What is signed and what is read do not depend on whether names are repeated or odd."""
    pairs = parse_form(urlencode(fields).encode())
    assert signed_and_readable(pairs) == (joined(pairs), readable(pairs))


def test_too_many_fields_are_refused() -> None:
    """A form of more fields than Twilio ever sends is refused before it is parsed."""
    assert len(parse_form(b"&".join([b"a=1"] * MAX_FIELDS))) == MAX_FIELDS
    with pytest.raises(TooManyFieldsError, match="512"):
        parse_form(b"&".join([b"a=1"] * (MAX_FIELDS + 1)))


def test_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known is forgotten in time, and long fields are never kept."""
    cache = forms._Parsed()
    monkeypatch.setattr(forms, "_parsed", cache)
    monkeypatch.setattr(forms, "_CACHE_SIZE", 10)
    for number in range(100):
        fields = [("known", "a+b"), (f"a {number}", f"b{number}"), ("long", " " * 100)]
        assert parse_form(urlencode(fields).encode()) == fields
        assert len(cache) + len(cache._older) <= 10
    assert all(len(field) <= 96 for field in [*cache, *cache._older])
