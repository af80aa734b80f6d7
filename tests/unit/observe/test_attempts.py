"""How often an action was begun is read from the workers' own ledger."""

import pytest

from actions.ledger import LedgerEntry, Phase
from cordboard.log.memory import MemoryLog
from cordboard.log.port import Entry
from observe.attempts import attempts_of
from schemas.codec import encode
from schemas.topics import Topic, partition_of

CALL = "CA" + "1" * 32


async def with_ledger(*entries: tuple[str, int]) -> MemoryLog:
    """A log whose ledger has these intents: action id and attempt."""
    log = MemoryLog()
    partition = partition_of(CALL.encode(), log.partitions)
    fenced = await log.claim(Topic.LEDGER, partition, "test")
    async for _ in fenced.replay():
        pass
    written = [LedgerEntry(Phase.INTENT, fenced.token, 1, 0, 0, attempt=attempt) for _, attempt in entries]
    await fenced.append(
        [Entry(partition, action.encode(), encode(entry)) for (action, _), entry in zip(entries, written, strict=True)]
    )
    return log


async def test_the_latest_attempt_counts() -> None:
    """Each try has an intent of its own."""
    log = await with_ledger(("a.1.0", 1), ("b.1.0", 1), ("a.1.0", 2))

    assert await attempts_of(log, CALL, {"a.1.0"}) == {"a.1.0": 2}


@pytest.mark.parametrize("actions", [set(), {"z.1.0"}])
async def test_an_action_that_nobody_began_has_none(actions: set[str]) -> None:
    """Not in the ledger, not in the answer."""
    assert await attempts_of(await with_ledger(("a.1.0", 1)), CALL, actions) == {}
