"""A client of the ops port for tests: JSON, problems, and the event stream frame by frame."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec

PROBLEM = "application/problem+json"


class Seen(msgspec.Struct, frozen=True):
    """An answer."""

    status: int
    content_type: str
    body: Any
    headers: dict[str, str]

    @property
    def is_problem(self) -> bool:
        """Whether it is an error as errors have to be."""
        body = self.body
        return self.content_type == PROBLEM and body["status"] == self.status and bool(body["detail"] and body["title"])


class Frames:
    """The frames of one open stream."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def next(self) -> dict[str, str]:
        """The next frame, its comment under an empty name. Fails when none comes."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(20):
            while True:
                raw = await self.response.content.readline()
                if not raw:
                    raise EOFError("the stream has ended")
                line = raw.decode().rstrip("\n")
                if not line and fields:
                    return fields
                name, _, value = line.partition(":")
                fields[name] = value.removeprefix(" ")

    async def next_event(self) -> tuple[str, Any]:
        """The id and the data of the next ordinary event."""
        while True:
            frame = await self.next()
            if "data" in frame and "event" not in frame:
                return frame["id"], json.loads(frame["data"])


class ReadingClient:
    """Speaks to one ops port."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = aiohttp.ClientSession()

    async def get(self, path: str, **headers: str) -> Seen:
        """`GET path`."""
        return await self.ask("GET", path, **headers)

    async def ask(self, method: str, path: str, **headers: str) -> Seen:
        """Any request."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._session.request(method, self.url + path, headers=named) as answer:
            content = await answer.read()
            is_json = "json" in answer.content_type
            return Seen(
                answer.status, answer.content_type, json.loads(content) if is_json else content, dict(answer.headers)
            )

    @asynccontextmanager
    async def stream(self, query: str = "", last_event_id: str | None = None) -> AsyncIterator[Frames]:
        """Open the event stream."""
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        async with self._session.get(f"{self.url}/v1/events{query}", headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            assert answer.content_type == "text/event-stream"
            yield Frames(answer)

    async def until(self, path: str, wanted: Any) -> Seen:
        """Ask until `wanted(answer)` holds; fail when it does not."""
        async with asyncio.timeout(20):
            while not wanted(answer := await self.get(path)):
                await asyncio.sleep(0.02)
        return answer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()
