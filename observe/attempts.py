"""How often the workers have begun an action that is not confirmed yet: read from the ledger when somebody asks.

An action that is pending is a recent one, so the end of its partition of `call.ledger` is enough. Nothing is kept.
"""

from collections.abc import Collection, Mapping

import msgspec

from cordboard.log.port import Log
from schemas.topics import Topic, partition_of

_LAST_RECORDS = 5_000
_POLL_S = 0.2
_BATCH = 1_000


class _Entry(msgspec.Struct, frozen=True, gc=False):
    """What is read of a ledger record; the workers own the rest."""

    phase: str = ""
    attempt: int = 0


_decoder = msgspec.json.Decoder(_Entry)


async def attempts_of(log: Log, call_id: str, actions: Collection[str]) -> Mapping[str, int]:
    """Attempts by action id; an action that nobody has begun yet is left out. Raises `LogError`."""
    if not actions:
        return {}
    partition = partition_of(call_id.encode(), log.partitions)
    bounds = (await log.bounds(Topic.LEDGER))[partition]
    position = max(bounds.earliest, bounds.end - _LAST_RECORDS)
    found: dict[str, int] = {}
    async with log.reader(Topic.LEDGER, {partition: position}) as reader:
        while position < bounds.end:
            records = await reader.poll(_POLL_S, _BATCH)
            if not records:
                break
            position = records[-1].offset + 1
            for record in records:
                _note(found, (record.key or b"").decode(errors="replace"), record.value, actions)
    return found


def _note(found: dict[str, int], action: str, value: bytes | None, actions: Collection[str]) -> None:
    if action in actions and value is not None:
        entry = _decoder.decode(value)
        found[action] = max(found.get(action, 0), entry.attempt)
