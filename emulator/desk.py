"""The control routes from outside: one connection pool, JSON in and out, and time as the emulator has it."""

import asyncio
from typing import Any

import aiohttp
import msgspec

from emulator.errors import EmulatorError

Form = dict[str, Any]


class RefusedError(EmulatorError):
    """The emulator refused a control request; says why."""


class Desk:
    """Drives one emulator, in real or in virtual time."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str) -> None:
        self.session = session
        self.base = base_url.rstrip("/")
        self.virtual = False

    async def open(self) -> None:
        """Ask which time the emulator lives in.

        Raises:
            RefusedError, aiohttp.ClientError: there is no emulator.

        """
        self.virtual = bool((await self.control("GET", "/clock"))["virtual"])

    async def control(self, method: str, path: str, body: object = None) -> Form:
        """Make a control request.

        Raises:
            RefusedError: it was refused.

        """
        data = body if isinstance(body, bytes) or body is None else msgspec.json.encode(body)
        async with self.session.request(method, f"{self.base}/_emulator{path}", data=data) as answer:
            content = await answer.read()
            if answer.status >= 400:  # noqa: PLR2004 - HTTP's error classes
                raise RefusedError(f"{method} {path}: {answer.status} {content.decode(errors='replace')[:300]}")
            return msgspec.json.decode(content, type=dict[str, Any]) if content else {}

    async def wait(self, seconds: float) -> None:
        """Let seconds pass; 0: let everything come to rest, as far as that can be known."""
        if self.virtual:
            await self.control("POST", "/clock", {"pass_s": seconds})
        else:
            await asyncio.sleep(max(seconds, 0.0))
