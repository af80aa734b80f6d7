"""Group append: entries that arrive while one append is on its way share the next one.

A call's intent must be durable before its request leaves, so this is on the path from webhook to REST: the first entry
goes at once, and nothing ever waits for company.
"""

import asyncio

from cordboard.errors import AppendFailedError
from cordboard.log.port import Entry, FencedPartition

_BATCH_BYTES = 400_000
"""Entries of one append: below what a broker takes in one batch."""


class GroupAppend:
    """One append at a time to one fenced partition. After a failure every append fails: the writer is done."""

    def __init__(self, fenced: FencedPartition) -> None:
        self._fenced = fenced
        self._waiting: list[tuple[Entry, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None
        self.failed: asyncio.Future[AppendFailedError] = asyncio.get_running_loop().create_future()
        """Done with the error once an append has failed."""

    async def append(self, entry: Entry) -> None:
        """Append `entry`; durable when it returns. Raises `AppendFailedError`."""
        if self.failed.done():
            raise self.failed.result()
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, durable))
        if self._task is None:
            self._task = asyncio.create_task(self._drain(), name="ledger-append")
        await durable

    async def close(self) -> None:
        """End an append that is on its way; whether it was written is for the successor's replay to see."""
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _drain(self) -> None:
        try:
            while self._waiting:
                await self._append_all(self._next_batch())
        finally:
            self._task = None

    def _next_batch(self) -> list[tuple[Entry, "asyncio.Future[None]"]]:
        size = count = 0
        for entry, _ in self._waiting:
            size += len(entry.key) + len(entry.value or b"")
            if count and size > _BATCH_BYTES:
                break
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    async def _append_all(self, batch: list[tuple[Entry, asyncio.Future[None]]]) -> None:
        try:
            await self._fenced.append([entry for entry, _ in batch])
        except AppendFailedError as error:
            self._fail(error, batch)
        except BaseException as error:
            self._fail(AppendFailedError(f"the ledger's append did not end: {error!r}"), batch)
            raise
        else:
            for _, durable in batch:
                if not durable.done():
                    durable.set_result(None)

    def _fail(self, error: AppendFailedError, batch: list[tuple[Entry, asyncio.Future[None]]]) -> None:
        self.failed.set_result(error)
        waiting, self._waiting = self._waiting, []
        for _, durable in (*batch, *waiting):
            if not durable.done():
                durable.set_exception(error)
