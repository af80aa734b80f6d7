"""Calls as other versions of Cordboard wrote them: older ones are brought up step by step, newer ones are refused.

Every version of the shape has a number (`schemas.state.DEFINITION`). Whoever changes the shape or its meaning raises
the number, and adds here how a call of the one before becomes one of the new; docs/upgrades.md tells the rules, and
tests/replay proves them with what older versions really wrote. Reading is tolerant everywhere else (decision 061): an
owner that writes a call back must know all of it, a mere reader need not.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from schemas.state import DEFINITION, FIRST_DEFINITION, Call

_Fields = dict[str, Any]
"""A call as plain JSON: an older shape has no struct any more."""


class _Stamp(msgspec.Struct, frozen=True, gc=False):
    definition: int = FIRST_DEFINITION


class NewerStateError(Exception):
    """A call of a version that is not known here."""


_stamp = msgspec.json.Decoder(_Stamp).decode
_call = msgspec.json.Decoder(Call).decode


def definition_of(encoded: bytes) -> int:
    """The version that wrote an encoded call. Raises `msgspec.MsgspecError`."""
    return _stamp(encoded).definition


def current(encoded: bytes) -> bytes:
    """An encoded call in the present shape; the same object when it has that already.

    Raises `NewerStateError` for one of a later version, `msgspec.MsgspecError` for one that cannot be read.
    """
    definition = definition_of(encoded)
    if definition == DEFINITION:
        return encoded
    if not FIRST_DEFINITION <= definition < DEFINITION:
        raise NewerStateError(f"its definition is {definition}, this version knows {FIRST_DEFINITION} to {DEFINITION}")
    call: _Fields = msgspec.json.decode(encoded)
    for step in range(definition, DEFINITION):
        call = UPCASTS[step](call)
    call["definition"] = DEFINITION
    brought_up = msgspec.json.encode(call)
    _call(brought_up)  # what cannot be read is to fail here, before the partition goes live
    return brought_up


def _from_1(call: _Fields) -> _Fields:
    """Legs counted the callbacks of the call itself as `spoken`; those are told apart by what they say now."""
    return {**call, "legs": [{k: v for k, v in leg.items() if k != "spoken"} for leg in call.get("legs", ())]}


UPCASTS: dict[int, Callable[[_Fields], _Fields]] = {1: _from_1}
"""From each older version to the next one."""
