"""`--name value` on the command line as a command's data, read by what the command's struct says about each field."""

import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import msgspec
from msgspec import inspect

from cordboard.errors import CordboardError
from schemas.commands import COMMANDS, TYPE_PREFIX, TYPE_SUFFIX, CommandData, InvalidCommandError, decode_data


class UsageError(CordboardError):
    """A command line that means no command."""


def short_name(text: str) -> str:
    """The short name of a command given by its short name or its full type. Raises `UsageError`."""
    name = text.removeprefix(TYPE_PREFIX).removesuffix(TYPE_SUFFIX)
    if name not in COMMANDS:
        near = get_close_matches(name, COMMANDS, n=3, cutoff=0.5)
        known = f"did you mean {' or '.join(near)}?" if near else f"expected one of {', '.join(COMMANDS)}"
        raise UsageError(f"{text!r} is no command: {known}")
    return name


def data_of(name: str, data: str | None, arguments: Sequence[str]) -> bytes:
    """The data of the command `name` in JSON: `data` (JSON text) with the `--name value` arguments over it.

    Raises `UsageError` that says what was expected.
    """
    fields = _json_object(data) if data else {}
    kinds = _kinds(COMMANDS[name])
    for field, texts in _grouped(name, kinds, arguments).items():
        fields[field] = _value(field, kinds[field], texts)
    encoded = json.dumps(fields).encode()
    try:
        decode_data(name, encoded)
    except InvalidCommandError as error:
        raise UsageError(f"{name}: {error}. Its fields: {', '.join(kinds) or 'none'}") from error
    return encoded


def catalogue() -> str:
    """Every command with its fields, one a line, for the help; what may be left out stands in brackets."""
    return "\n".join(
        " ".join([f"  {name}", *(f"--{field}" if needed else f"[--{field}]" for field, needed in _fields(data))])
        for name, data in COMMANDS.items()
    )


def _fields(data: type[CommandData]) -> list[tuple[str, bool]]:
    fields = msgspec.structs.fields(data)
    return [(field.encode_name.replace("_", "-"), field.required) for field in fields]


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UsageError(f"--data is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise UsageError(f"--data must be a JSON object, not {text[:40]!r}")
    return value


def _kinds(data: type[CommandData]) -> dict[str, str]:
    """Field name to `list`, `mapping`, `number`, `flag` or `text`."""
    info = inspect.type_info(data)
    assert isinstance(info, inspect.StructType)  # noqa: S101 what the catalogue holds are structs
    return {field.encode_name: _kind(field.type) for field in info.fields}


def _kind(info: inspect.Type) -> str:
    match info:
        case inspect.UnionType(types=types):
            return next(_kind(one) for one in types if not isinstance(one, inspect.NoneType))
        case inspect.Metadata(type=inner):
            return _kind(inner)
        case inspect.ListType() | inspect.VarTupleType():
            return "list"
        case inspect.DictType() | inspect.StructType():
            return "mapping"
        case inspect.IntType() | inspect.FloatType():
            return "number"
        case inspect.BoolType():
            return "flag"
        case _:
            return "text"


def _grouped(name: str, kinds: Mapping[str, str], arguments: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    rest = list(arguments)
    while rest:
        option = rest.pop(0)
        if not option.startswith("--") or option == "--":
            raise UsageError(f"{option!r} is not understood: data are given as --name value")
        option, separator, text = option.partition("=")
        if not separator:
            if not rest:
                raise UsageError(f"{option} needs a value")
            text = rest.pop(0)
        if option == "--field":  # --field name=value says the same as --name value
            option, separator, text = text.partition("=")
            if not separator:
                raise UsageError("--field takes name=value")
        found.setdefault(_field(name, kinds, option), []).append(text)
    return found


def _field(name: str, kinds: Mapping[str, str], option: str) -> str:
    field = option.removeprefix("--").replace("-", "_")
    if field not in kinds and kinds.get(f"{field}s") == "list":
        return f"{field}s"
    if field not in kinds:
        fields = ", ".join(f"--{known.replace('_', '-')}" for known in kinds) or "none"
        raise UsageError(f"{name} has no field {option}; its fields: {fields}")
    return field


def _value(field: str, kind: str, texts: list[str]) -> Any:  # noqa: ANN401 JSON of any kind
    if kind == "list":
        return [item for text in texts for item in (_parsed(field, text) if text.startswith("[") else text.split(","))]
    if kind == "mapping":
        merged: dict[str, Any] = {}
        for text in texts:
            merged.update(_parsed(field, text) if text.startswith("{") else _pair(field, text))
        return merged
    if len(texts) > 1:
        raise UsageError(f"--{field.replace('_', '-')} is given {len(texts)} times: it takes one value")
    try:
        return texts[0] if kind == "text" else msgspec.convert(texts[0], int | float | bool, strict=False)
    except msgspec.ValidationError:
        return texts[0]


def _parsed(field: str, text: str) -> Any:  # noqa: ANN401 JSON of any kind
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(f"--{field.replace('_', '-')} {text[:60]!r} is not JSON: {error}") from error


def _pair(field: str, text: str) -> dict[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise UsageError(f"--{field.replace('_', '-')} takes name=value (several times if need be) or a JSON object")
    return {name: value}
