"""The interactive caller: places a call over the control routes and lives it in a terminal.

The command line around it belongs to ``cordboard.app``; what the events mean to the caller is ``story.py``.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import aiohttp
import msgspec

from emulator.journal import Event
from emulator.story import Story

HELP = (
    "keys: 0-9 * # are pressed; s says something (a line, then Enter); h hangs up; "
    "a answers for a party that rings; ? shows this"
)
SPEAK = "s"
END_OF_LINE = frozenset("\r\n")
ERASE = frozenset("\x08\x7f")
DIGITS = frozenset("0123456789*#")
HANG_UP = frozenset("hq\x03\x04")
FAREWELL_S = 2.0
_event = msgspec.json.Decoder(Event)


@dataclass(frozen=True, slots=True)
class _Line:
    """The caller's means: the control routes, a place to write, the story so far."""

    session: aiohttp.ClientSession
    base: str
    out: Callable[[str], None]
    story: Story
    echo: Callable[[str], None]

    async def post(self, path: str, body: object = None) -> None:
        data = msgspec.json.encode(body)
        async with self.session.post(f"{self.base}{path}", data=data) as answer:
            if answer.status >= 400:  # noqa: PLR2004 - HTTP's error classes
                self.out(f"the emulator refused: {(await answer.text())[:200]}")

    async def hang_up(self) -> None:
        if not self.story.ended:
            await self.post(f"/calls/{self.story.call_sid}/hangup")


async def interactive_call(
    base_url: str,
    from_: str,
    to: str,
    *,
    out: Callable[[str], None],
    keys: AsyncIterator[str] | None,
    for_s: float | None = None,
    application_sid: str = "",
    echo: Callable[[str], None] = lambda _: None,
) -> int:
    """Call ``to`` as ``from_`` and stay until the call ends, the keys do, or ``for_s`` seconds are over.

    ``base_url`` is the emulator's; ``out`` takes lines of text; ``keys`` single characters (None: nobody at the keys);
    ``echo`` takes what is typed, where the terminal does not show it.
    With ``application_sid`` a browser (``from_`` = ``client:…``) calls a TwiML application.
    Cancelling the coroutine hangs up. Returns an exit code: 0, or 1 when the call could not be placed.
    """
    base = f"{base_url.rstrip('/')}/_emulator"
    wish = {"from": from_, "to": to, "application_sid": application_sid}
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"{base}/events") as events,
            session.post(f"{base}/calls", data=msgspec.json.encode(wish)) as placed,
        ):
            body: dict[str, str] = msgspec.json.decode(await placed.read())
            if placed.status != 201:  # noqa: PLR2004 - created
                out(f"the call could not be placed: {body.get('detail')}")
                return 1
            out(f"{from_} calls {to or application_sid}, call {body['call_sid']}")
            out(f"all of it: {base}/#calls/call/{body['call_sid']}")
            if keys is not None:
                out(HELP)
            await _live(_Line(session, base, out, Story(body["call_sid"]), echo), events, keys, for_s)
            return 0
    except aiohttp.ClientError as error:
        out(f"no emulator at {base_url}: {type(error).__name__}. Start one with: cordboard emulator")
        return 1


async def _live(
    line: _Line, events: aiohttp.ClientResponse, keys: AsyncIterator[str] | None, for_s: float | None
) -> None:
    story = asyncio.create_task(_tell(line, events))
    others = {asyncio.create_task(asyncio.sleep(for_s))} if for_s is not None else set()
    if keys is not None:
        others.add(asyncio.create_task(_obey(line, keys)))
    try:
        await asyncio.wait({story, *others}, return_when=asyncio.FIRST_COMPLETED)
        await line.hang_up()
        await asyncio.wait({story}, timeout=FAREWELL_S)
    except asyncio.CancelledError:
        await line.hang_up()
        raise
    finally:
        for task in (story, *others):
            task.cancel()
        await asyncio.gather(story, *others, return_exceptions=True)


async def _tell(line: _Line, events: aiohttp.ClientResponse) -> None:
    """Write the story until the call is over or the emulator has gone."""
    async for raw in events.content:
        if not raw.startswith(b"data: "):
            continue
        event = _event.decode(raw.removeprefix(b"data: "))
        text = line.story.line(event)
        if text is not None:
            line.out(text)
        if line.story.ended:
            return


async def _obey(line: _Line, keys: AsyncIterator[str]) -> None:
    """Do what the keys say until one hangs up or there are no more."""
    async for key in keys:
        if key in HANG_UP:
            return
        if key == SPEAK:
            await _say(line, keys)
        elif key == "a":
            await _answer(line)
        elif key in DIGITS:
            line.out(f"you press {key}")
            await line.post(f"/calls/{line.story.call_sid}/digits", {"digits": key})
        elif not key.isspace():
            line.out(HELP)


async def _say(line: _Line, keys: AsyncIterator[str]) -> None:
    """Take a line from the keys and say it."""
    line.out("say what? (a line, then Enter)")
    text = ""
    async for key in keys:
        if key in END_OF_LINE:
            break
        line.echo("\b \b" if key in ERASE and text else key)
        text = text[:-1] if key in ERASE else text + key
    line.echo("\n")
    if text.strip():
        await line.post(f"/calls/{line.story.call_sid}/say", {"text": text.strip()})


async def _answer(line: _Line) -> None:
    if not line.story.asking:
        line.out("nobody rings who waits to be answered for")
        return
    call_sid, address = line.story.asking.popleft()
    line.out(f"answered for {address}")
    await line.post(f"/calls/{call_sid}/answer")
