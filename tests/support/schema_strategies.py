"""Hypothesis strategies for msgspec types, read from the types themselves: a new field is tested without a new line."""

import string
from functools import cache
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect as kinds

from schemas.commands import Announce
from schemas.prompts import Prompt

__all__ = ["any_json", "built", "call_ids", "times_ms"]

_MAX_INT = 2**63 - 1

call_ids = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=64)
times_ms = st.integers(0, 253_402_300_799_999)  # up to the end of the year 9999
any_json = st.recursive(
    st.none() | st.booleans() | st.integers(-_MAX_INT, _MAX_INT) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_urls = st.builds("https://media.example.com/{}.mp3".format, st.integers(0, 999))
_texts = st.text(string.printable.strip() + " äß語", min_size=1, max_size=60)


@cache
def built(kind: Any) -> st.SearchStrategy[Any]:
    """Instances of a struct, enum or union of them, every field drawn from its own type.

    Fields that have a default are left out at times.
    """
    return _of(kinds.type_info(kind))


def _of(kind: kinds.Type) -> st.SearchStrategy[Any]:
    match kind:
        case kinds.StructType():
            return _struct(kind)
        case kinds.UnionType():
            return st.one_of([_of(each) for each in kind.types])
        case kinds.Metadata():
            return _described(kind)
        case kinds.ListType() | kinds.VarTupleType():
            most = 3 if kind.max_length is None else min(3, kind.max_length)
            items = st.lists(_of(kind.item_type), min_size=kind.min_length or 0, max_size=most)
            return items.map(tuple) if isinstance(kind, kinds.VarTupleType) else items
        case kinds.DictType():
            return st.dictionaries(_of(kind.key_type), _of(kind.value_type), max_size=3)
        case kinds.EnumType():
            return st.sampled_from(list(kind.cls))
        case kinds.LiteralType():
            return st.sampled_from(kind.values)
        case _:
            return _scalar(kind)


def _scalar(kind: kinds.Type) -> st.SearchStrategy[Any]:
    match kind:
        case kinds.StrType() if kind.pattern is not None:
            return st.from_regex(kind.pattern, fullmatch=True)
        case kinds.StrType():
            return st.text(min_size=kind.min_length or 0, max_size=min(20, kind.max_length or 20))
        case kinds.IntType():
            return st.integers(-_MAX_INT if kind.ge is None else kind.ge, _MAX_INT if kind.le is None else kind.le)
        case kinds.BoolType():
            return st.booleans()
        case kinds.FloatType():
            return st.floats(allow_nan=False, allow_infinity=False)
        case kinds.BytesType():
            return st.binary(max_size=32)
        case kinds.RawType():
            return any_json.map(lambda value: msgspec.Raw(msgspec.json.encode(value)))
        case kinds.NoneType():
            return st.none()
        case _:
            message = f"no strategy for {kind}: add one"
            raise NotImplementedError(message)


def _described(kind: kinds.Metadata) -> st.SearchStrategy[Any]:
    """A type with rules that stand in its schema and are checked in code: audio URLs and spoken texts."""
    schema = kind.extra_json_schema or {}
    if str(schema.get("pattern", "")).startswith("^https?"):
        return _urls
    return _texts if "pattern" in schema else _of(kind.type)


def _struct(kind: kinds.StructType) -> st.SearchStrategy[Any]:
    needed = {field.name: _of(field.type) for field in kind.fields if field.required}
    defaulted = {field.name: _of(field.type) for field in kind.fields if not field.required}
    if kind.cls not in {Prompt, Announce}:
        return st.fixed_dictionaries(needed, optional=defaulted).map(lambda fields: kind.cls(**fields))
    rest = {name: values for name, values in defaulted.items() if name not in {"say", "play"}}
    one = st.fixed_dictionaries({"say": _texts}) | st.fixed_dictionaries({"play": _urls})
    return st.tuples(st.fixed_dictionaries(needed, optional=rest), one).map(lambda pair: kind.cls(**pair[0], **pair[1]))
