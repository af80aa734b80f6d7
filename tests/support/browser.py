"""A real browser without a window: Chromium over its DevTools protocol, for pages that are judged as they are seen."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
PATIENCE_S = 30.0
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--remote-debugging-port=0",
    "--window-size=1400,900",
)


def browser_path() -> str | None:
    """Return the browser's program, or None where there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Page:
    """One page of a browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        self.errors: list[str] = []
        """What the page's scripts failed with."""

    async def do(self, method: str, **params: object) -> dict[str, object]:
        """Send one DevTools command and return its result."""
        self._number += 1
        command = msgspec.json.encode({"id": self._number, "method": method, "params": params})
        await self._socket.send_str(command.decode())
        while True:
            async with asyncio.timeout(PATIENCE_S):
                message = msgspec.json.decode(await self._socket.receive_str())
            if message.get("method") == "Runtime.exceptionThrown":
                self.errors.append(str(message["params"]))
            if message.get("id") == self._number:
                assert "error" not in message, message
                return dict(message["result"])

    async def value(self, script: str) -> object:
        """Return what an expression of JavaScript gives."""
        answer = await self.do("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        result = answer["result"]
        assert isinstance(result, dict)
        return result.get("value")

    async def until(self, script: str) -> None:
        """Wait until an expression is true."""
        async with asyncio.timeout(PATIENCE_S):
            while not await self.value(f"Boolean({script})"):
                await asyncio.sleep(0.02)

    async def press(self, selector: str, text: str) -> None:
        """Click the first element that matches and holds the text, once it is there."""
        found = f"[...document.querySelectorAll({selector!r})].find(one => one.textContent.includes({text!r}))"
        await self.until(found)
        await self.value(f"{found}.click()")


@asynccontextmanager
async def browsing(program: str, folder: Path) -> AsyncIterator[Page]:
    """Start a browser with an empty profile in ``folder`` and give its page; both go at the end."""
    process = await asyncio.create_subprocess_exec(
        program,
        *FLAGS,
        f"--user-data-dir={folder}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        port = await _port(folder / "DevToolsActivePort", process)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                pages = [one for one in await answer.json() if one["type"] == "page"]
            async with session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                page = Page(socket)
                for domain in ("Page", "Runtime"):
                    await page.do(f"{domain}.enable")
                yield page
                await page.do("Browser.close")
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _port(file: Path, process: asyncio.subprocess.Process) -> int:
    """Return the port that the browser has chosen, once it says."""
    async with asyncio.timeout(PATIENCE_S):
        while process.returncode is None:
            if words := _words(file):
                return int(words[0])
            await asyncio.sleep(0.02)
    message = f"the browser ended at once: {process.returncode}"
    raise AssertionError(message)


def _words(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []
