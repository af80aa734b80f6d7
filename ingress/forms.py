"""`application/x-www-form-urlencoded`, fast: what `parse_qsl(keep_blank_values=True)` gives, in a sixth of its time.

Every field counts for the signature, blank ones and unknown ones too, so nothing is trimmed or left out. Bytes that are
not UTF-8 are kept as surrogate escapes, from which the signature's bytes come back exactly; `readable` makes text of
them for the record. What the fields mean is `ingress.webhooks`' business.
"""

from collections.abc import Callable
from functools import lru_cache
from operator import itemgetter
from sys import intern
from urllib.parse import unquote

Pairs = list[tuple[str, str]]

MAX_FIELDS = 512
"""Fields of one form or query. Twilio's largest have some sixty."""

_ASCII = {f"{byte:02{case}}": chr(byte) for byte in range(0x80) for case in "xX"}
"""Characters by their two hex digits. What is not ASCII, or no escape, goes the standard library's way."""

_CACHE_SIZE = 1024
_CACHED_LENGTH = 96


class TooManyFieldsError(ValueError):
    """A form or query with more than `MAX_FIELDS` fields."""


class _Parsed(dict[str, tuple[str, str]]):
    """Name and value by the field as it came. A call's callbacks repeat most of their fields, and so do calls.

    Bounded: when it is full the older half of what is known is forgotten; long fields (tokens, URLs) are never kept.
    """

    def __init__(self) -> None:
        self._older: dict[str, tuple[str, str]] = {}

    def __missing__(self, field: str) -> tuple[str, str]:
        pair = self._older.get(field) or _pair(field)
        if len(field) <= _CACHED_LENGTH:
            if len(self) >= _CACHE_SIZE // 2:
                self._older = self.copy()
                self.clear()
            self[field] = pair
        return pair


def _pair(field: str) -> tuple[str, str]:
    name, _, value = field.partition("=")
    return intern(_unquoted(name)), _unquoted(value)


def _unquoted(text: str) -> str:
    if "+" in text:
        text = text.replace("+", " ")
    if "%" not in text:
        return text
    first, *rest = text.split("%")
    try:
        return first + "".join([_ASCII[part[:2]] + part[2:] for part in rest])
    except KeyError:
        return unquote(text, errors="surrogateescape")


_parsed = _Parsed()


def parse_form(body: bytes) -> Pairs:
    """The fields of a form in their order, names and values decoded. Raises `TooManyFieldsError`."""
    return parse_text(body.decode("utf-8", "surrogateescape"))


def parse_text(text: str) -> Pairs:
    """The fields of a query, or of a form that has been decoded to text. Raises `TooManyFieldsError`."""
    fields = text.split("&", MAX_FIELDS)
    if len(fields) > MAX_FIELDS:
        raise TooManyFieldsError(f"more than {MAX_FIELDS} fields")
    if "" in fields:
        fields = [field for field in fields if field]
    return list(map(_parsed.__getitem__, fields))  # no Python code runs for a field that is known


def signed_and_readable(pairs: Pairs) -> tuple[str, dict[str, str]]:
    """The fields as they are signed (see `joined`) and as they are read (see `readable`)."""
    fields = dict(pairs)
    if len(fields) < len(pairs) or not pairs:
        return joined(pairs), readable(pairs)
    template, values_of = _layout(tuple(fields))
    signed = template % values_of(fields)
    return signed, fields if signed.isascii() else readable(pairs)


def joined(pairs: Pairs) -> str:
    """Names and values in the order of names, then values, the same pair once, nothing between them."""
    return "".join([name + value for name, value in sorted(set(pairs))])


def readable(pairs: Pairs) -> dict[str, str]:
    """Fields by name as Unicode text; of a repeated name the first value. What was not UTF-8 becomes U+FFFD.

    Twilio does not repeat names in voice callbacks; a form that does is signed with all of its values.
    """
    fields: dict[str, str] = {}
    for name, value in pairs:
        fields.setdefault(_text(name), _text(value))
    return fields


@lru_cache(1024)
def _layout(names: tuple[str, ...]) -> tuple[str, Callable[[dict[str, str]], object]]:
    """How fields of these names are signed: a template, and what picks its values from them. Both run in C.

    Callbacks of one kind have the same names in the same order.
    """
    order = sorted(names)
    return "".join([name.replace("%", "%%") + "%s" for name in order]), itemgetter(*order)


def _text(text: str) -> str:
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
