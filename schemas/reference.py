"""The reference page `docs/messages.md`: every message with its fields and examples, made from the structs. Pure."""

import inspect
import json
from collections.abc import Iterator
from itertools import groupby

from schemas import examples
from schemas.commands import COMMANDS
from schemas.commands import type_of as command_type
from schemas.events import EVENTS
from schemas.events import type_of as event_type
from schemas.json_schemas import Schema, components
from schemas.results import RESULT_TYPE, Result

_HEAD = """# Messages

<!-- Made from the structs in `schemas/` by `make schemas`. Change those, not this page. -->

What other services send to Cordboard and read from it. Every message is a
[CloudEvent 1.0](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md) in JSON.
JSON Schemas of each type and the AsyncAPI 3 document lie in `schemas/generated/`.

| topic | you | key | messages |
|---|---|---|---|
| `call.commands` | publish | anything, or none | commands, structured or binary |
| `call.events` | read | the call's id: the messages of one call come in order | results and events, structured |
| `call.dead-letters` | look, as an operator | as it came | the bytes of what could not be read, reason in the headers |

- **Structured mode**: the whole CloudEvent is the value, as in all examples below.
- **Binary mode** (commands only): attributes are headers (`ce_id`, `ce_source`, `ce_type`, `ce_specversion`,
  `ce_subject` on Kafka; `ce-id` and so on over HTTP, percent-encoded), and the value is `data` alone.
- `id` and `source` together are the idempotency key: the same pair again gets the first result again, with
  `replayed: true`. Draw a new `id` for every new command.
- `subject` is the call's id. `call.dial` has none: it begins a call, and its result's `subject` names it.
- `deadline` (RFC 3339, optional) is the last moment to begin the effect; a command that comes too late is `expired`.
- Unknown fields are left aside, so a producer may be newer than we are. Ours never change their meaning within `v1`.
"""

_RESULTS = """## Results

`{type}`, exactly one for every command. Find yours by `data.command_id` and `data.command_source`.

| outcome | meaning |
|---|---|
| `applied` | the effect is reached, or was there already (`detail: "no_change"`) |
| `rejected` | the call's state does not take it (`allowed` says what it takes), or it could not be read (`invalid`) |
| `failed` | it was tried and cannot be reached; `reason` says why |
| `expired` | it could not begin before its deadline; nothing was done |
| `unknown` | it cannot be proven whether it happened: look at the call before you repeat it with a new `id` |
"""

_DEAD_LETTERS = """## Dead letters

The value is the message's bytes as they came; the headers are `reason` (one word), `detail` (what was wrong and what
was expected) and `source_topic`. The ops port lists them and puts one back in: `POST /v1/dead-letters/{id}/redrive`.
"""


def messages_page() -> str:
    """The whole page as Markdown."""
    return "\n".join([_HEAD, *_commands(), *_results(), *_events(), _DEAD_LETTERS.rstrip("\n")]) + "\n"


def _commands() -> Iterator[str]:
    yield "## Commands\n"
    for name, data in COMMANDS.items():
        yield f"### `{name}`\n"
        yield f"`{command_type(name)}`\n"
        yield f"{_doc(data)}\n"
        yield _fields(data)
        yield _example(examples.command(name))


def _results() -> Iterator[str]:
    yield _RESULTS.format(type=RESULT_TYPE)
    yield _fields(Result)
    for example in examples.RESULTS:
        yield f"{example.title} (`{example.outcome.value}`):\n"
        yield _example(examples.result(example))


def _events() -> Iterator[str]:
    yield "## Events\n"
    yield "`cordboard.event.NAME.v1`. `cause` is the id of the record (callback, command, outcome, timer) behind it.\n"
    for data, names in groupby(EVENTS, key=EVENTS.__getitem__):
        of_kind = list(names)
        yield f"### {', '.join(f'`{name}`' for name in of_kind)}\n"
        yield f"{_doc(data)}\n"
        yield _fields(data)
        for name in (name for name in of_kind if name in examples.EVENT_DATA):
            yield f"`{event_type(name)}`:\n"
            yield _example(examples.event(name))


def _doc(data: type) -> str:
    return inspect.getdoc(data) or ""


def _example(message: bytes) -> str:
    return f"```json\n{json.dumps(json.loads(message), indent=2, ensure_ascii=False)}\n```\n"


def _fields(data: type) -> str:
    named = components([data]).named
    schema = named[data.__name__]
    if not schema["properties"]:
        return "No data.\n"
    rows = [
        f"| `{name}` | {_type(field, named)}{_or_null(field)} | yes |"
        if name in schema["required"]
        else f"| `{name}` | {_type(field, named)} | {_default(field)} |"
        for name, field in schema["properties"].items()
    ]
    one_of = [option["required"][0] for option in schema.get("oneOf", [])]
    rule = f"\nExactly one of {' and '.join(f'`{name}`' for name in one_of)}.\n" if one_of else ""
    return "\n".join(["| field | type | required |", "|---|---|---|", *rows, rule])


def _default(field: Schema) -> str:
    default = field.get("default")
    return "no" if default in (None, [], ()) else f"no, `{json.dumps(default)}`"


def _or_null(field: Schema) -> str:
    return " or `null`" if {"type": "null"} in field.get("anyOf", []) else ""


def _type(field: Schema, named: dict[str, Schema]) -> str:
    """A field's type in a few words, readable in a table."""
    if "$ref" in field:
        return _type(named[field["$ref"].rpartition("/")[2]], named)
    if "anyOf" in field:
        return " or ".join(_type(option, named) for option in field["anyOf"] if option.get("type") != "null")
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if field.get("type") == "array":
        return f"list of: {_type(field['items'], named)}"
    if field.get("type") == "object":
        return _object(field, named)
    return _described(field)


def _object(field: Schema, named: dict[str, Schema]) -> str:
    if "properties" not in field:
        return "object of text"
    inner = "; ".join(f"`{name}`: {_type(schema, named)}" for name, schema in field["properties"].items())
    return f"object: {inner}"


def _described(field: Schema) -> str:
    kind = str(field.get("type", "any"))
    words = f"{kind}, {field['description']}".rstrip(".") if "description" in field else kind
    if "minimum" in field:
        return f"{words}, {field['minimum']} to {field['maximum']}"
    return words.replace("|", "\\|")
