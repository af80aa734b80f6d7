"""What is wrong with a command's data, in words: msgspec tells a regex, and of an enum the bad value alone."""

import re
from collections.abc import Iterator

from msgspec import Struct, inspect

_PATH = re.compile(r" - at `\$(?P<path>[^`]*)`")
_REGEX = re.compile(r"`str` matching regex .+?(?= - at `)", re.DOTALL)


def in_words(data: type[Struct], error: str) -> str:
    """The message of a `msgspec.ValidationError` about `data`, with what would have been taken.

    A pattern is told by the `description` of its type, an enum by its values; every other message stays as it is.
    """
    found = _PATH.search(error)
    if found is None:
        return error
    kind = _at(inspect.type_info(data), found["path"])
    if error.startswith("Invalid enum value"):
        choices = [
            str(member.value) for one in _within(kind) if isinstance(one, inspect.EnumType) for member in one.cls
        ]
        return f"{error}: expected {', '.join(choices)}" if choices else error
    words = [described for one in _within(kind) if (described := _description(one))]
    return _REGEX.sub(lambda _: words[0], error) if words else error


def _at(kind: inspect.Type | None, path: str) -> inspect.Type | None:
    """The type of the field that a path such as `.on_failure.busy` or `.targets[0]` leads to."""
    for name in re.findall(r"\.(\w+)", path):
        structs = [one for one in _within(kind) if isinstance(one, inspect.StructType)]
        kind = next((field.type for one in structs for field in one.fields if field.encode_name == name), None)
    return kind


def _within(kind: inspect.Type | None) -> Iterator[inspect.Type]:
    """A type, and those that it is made of: the members of a union, the items of a list."""
    if kind is None:
        return
    yield kind
    match kind:
        case inspect.UnionType(types=types):
            inner = types
        case inspect.Metadata(type=one) | inspect.VarTupleType(item_type=one) | inspect.ListType(item_type=one):
            inner = (one,)
        case _:
            inner = ()
    for one in inner:
        yield from _within(one)


def _description(kind: inspect.Type) -> str | None:
    match kind:
        case inspect.Metadata(extra_json_schema={"description": str(words)}):
            return words
        case _:
            return None
