"""What the engine tells the world, for who waits for it; and commands, published until they are durable."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from cordboard.errors import LogUnavailableError
from cordboard.log.port import Entry, Log, Record
from schemas.commands import type_of
from schemas.results import RESULT_TYPE
from schemas.topics import Topic, partition_of

SOURCE = "/chaos"
_PATIENCE_S = 120.0
_AGAIN_S = 0.1


class _Told(msgspec.Struct):
    type: str
    subject: str = ""
    data: dict[str, Any] = {}


_told = msgspec.json.Decoder(_Told).decode


class Feed:
    """Hears `call.events`. A wait names a command, or a call and the type of an event."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}

    def hear(self, records: Sequence[Record]) -> None:
        """Wake who waits for one of these events."""
        if not self._waiting:
            return
        for record in records:
            told = _told(record.value or b"")
            is_result = told.type == RESULT_TYPE
            key = told.data["command_id"] if is_result else f"{told.subject} {told.type}"
            waiting = self._waiting.get(key)
            if waiting is not None and not waiting.done():
                waiting.set_result(told.data)

    def expect(self, key: str) -> "asyncio.Future[dict[str, Any]]":
        """The future event: to be asked for before its cause."""
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[key] = future
        return future

    async def heard(self, key: str, future: "asyncio.Future[dict[str, Any]]", within_s: float) -> dict[str, Any] | None:
        """Its data; None when it did not come in time."""
        try:
            async with asyncio.timeout(within_s):
                return await future
        except TimeoutError:
            return None
        finally:
            self._waiting.pop(key, None)


def event_of(call_id: str, name: str) -> str:
    """The key of an event of a call: `call.waiting`, for one."""
    return f"{call_id} cordboard.event.{name}.v1"


class Commander:
    """Sends commands by the topic, as another service would: again, under the same id, until the log has taken it."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.durable: dict[str, str] = {}
        """Commands that the log has acknowledged, and the call of each: every one of them must have its one result."""
        self.given_up = 0

    async def send(self, command_id: str, name: str, call_id: str, data: dict[str, Any]) -> bool:
        """Whether it was acknowledged."""
        event = {
            "specversion": "1.0", "id": command_id, "source": SOURCE, "type": type_of(name), "subject": call_id,
            "data": data,
        }  # fmt: skip
        key = command_id.encode()
        entry = Entry(partition_of(key, self._log.partitions), key, msgspec.json.encode(event))
        loop = asyncio.get_running_loop()
        until = loop.time() + _PATIENCE_S
        while loop.time() < until:
            try:
                await self._log.publish(Topic.COMMANDS, (entry,))
            except LogUnavailableError:
                await asyncio.sleep(_AGAIN_S)
            else:
                self.durable[command_id] = call_id
                return True
        self.given_up += 1
        return False
