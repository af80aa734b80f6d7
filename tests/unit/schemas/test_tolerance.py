"""Readers are tolerant: no struct that is read from a message refuses what it does not know (docs/decisions/061)."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from msgspec import inspect as kinds

from schemas.actions import Action
from schemas.cloudevents import CloudEvent
from schemas.commands import COMMANDS
from schemas.events import EVENTS
from schemas.policy import Conversation, ConversationFailure, SupervisionRights
from schemas.records import Inbox
from schemas.results import Result
from schemas.state import StateRecord
from schemas.view import CallView
from schemas.webhooks import FORMS

# The policy file's reader leaves the refusal of a misspelt right to the struct.
_STRICT = {SupervisionRights, Conversation, ConversationFailure}
_READ: list[Any] = [
    Inbox, Action, StateRecord, CloudEvent, Result, CallView, *COMMANDS.values(), *EVENTS.values(), *FORMS.values()
]  # fmt: skip


def _structs(kind: kinds.Type | kinds.Field) -> Iterator[kinds.StructType]:
    """Every struct at or below `kind`."""
    if isinstance(kind, kinds.StructType):
        yield kind
    for name in kind.__struct_fields__:
        inner = getattr(kind, name)
        for each in inner if isinstance(inner, tuple) else (inner,):
            if isinstance(each, kinds.Type | kinds.Field):
                yield from _structs(each)


_ALL = {struct.cls: struct for kind in _READ for struct in _structs(kinds.type_info(kind))}


@pytest.mark.parametrize("kind", _ALL, ids=lambda kind: kind.__name__)
def test_no_struct_refuses_what_it_does_not_know(kind: type[msgspec.Struct]) -> None:
    """A field of a newer writer stops no reader, not even deep inside a record."""
    assert _ALL[kind].forbid_unknown_fields == (kind in _STRICT)


@pytest.mark.parametrize("kind", _ALL, ids=lambda kind: kind.__name__)
def test_every_struct_is_frozen(kind: type[msgspec.Struct]) -> None:
    """What was said stays as it was said."""
    assert kind.__struct_config__.frozen


def test_the_walk_reaches_the_depths() -> None:
    """The structs inside structs are among those looked at."""
    assert {"Prompt", "OnFailure", "Policy", "Leg", "ParticipantSeen", "FlagsView", "SupervisionRights"} <= {
        kind.__name__ for kind in _ALL
    }
