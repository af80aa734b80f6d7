"""The interactive caller and the event stream it lives on."""

import asyncio
import os
from collections.abc import AsyncIterator

import pytest

from emulator import interactive_call, stdin_keys
from emulator_bench import AGENT, CALLER, EVENTS, NUMBER, Bench

CONFERENCE = "<Response><Dial><Conference participantLabel='customer' {}>room-1</Conference></Dial></Response>"


class Terminal:
    """A terminal: lines come out, keys go in when the test presses them."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._keys: asyncio.Queue[str] = asyncio.Queue()

    def press(self, *keys: str) -> None:
        """Press keys; an empty one closes the terminal."""
        for key in keys:
            self._keys.put_nowait(key)

    async def keys(self) -> AsyncIterator[str]:
        """Yield keys until the terminal closes."""
        while key := await self._keys.get():
            yield key

    def shows(self, text: str) -> bool:
        """Tell whether a line with this text has come out."""
        return any(text in line for line in self.lines)


async def _point(bench: Bench, twiml: str) -> None:
    bench.site.pages["/voice"] = twiml
    await bench.control("PUT", f"/numbers/{NUMBER}", {"voice_url": bench.url("/voice")})


def _call(bench: Bench, terminal: Terminal, for_s: float | None = None) -> "asyncio.Task[int]":
    return asyncio.create_task(
        interactive_call(
            bench.emulator.url, CALLER, NUMBER, out=terminal.lines.append, keys=terminal.keys(), for_s=for_s
        )
    )


async def test_a_caller_lives_the_call(bench: Bench) -> None:
    """The caller sees ringing, music, the agent, a hold, and the end; key a answers for an asking agent."""
    await _point(bench, CONFERENCE.format(f"statusCallback='{bench.url('/conf')}' statusCallbackEvent='{EVENTS}'"))
    await bench.person(AGENT, answer="asks")
    terminal = Terminal()
    call = _call(bench, terminal)
    await bench.until(lambda: terminal.shows("you hear Twilio's hold music"), "the wait music")
    form = {"From": NUMBER, "To": AGENT, "Label": "agent-1"}
    await bench.rest("POST", "/Conferences/room-1/Participants.json", form)
    await bench.until(lambda: terminal.shows("client:agent rings and waits"), "the ringing agent")
    terminal.press("a")
    await bench.until(lambda: terminal.shows("you talk with agent-1"), "the agent")
    room = bench.room("room-1")
    caller = next(iter(room.participants))
    await bench.rest("POST", f"/Conferences/{room.sid}/Participants/{caller}.json", {"Hold": "true"})
    await bench.until(lambda: terminal.shows("you are on hold"), "the hold")
    terminal.press("h")
    assert await call == 0
    assert terminal.lines[-1].startswith("the call is over: completed after ")
    assert bench.status(caller) == "completed"


async def test_digits_are_pressed(bench: Bench) -> None:
    """Digit keys reach a Gather."""
    gather = "<Gather action='/keys' numDigits='2' timeout='60'><Say loop='0'>press</Say></Gather>"
    await _point(bench, f"<Response>{gather}</Response>")
    terminal = Terminal()
    call = _call(bench, terminal)
    await bench.until(lambda: terminal.shows("you hear voice: press"), "the prompt")
    terminal.press("4", "2")
    await bench.until(lambda: bench.site.got("/keys", Digits="42"), "the action")
    assert await call == 0


async def test_speech_is_said(bench: Bench) -> None:
    """A line behind s is said, mistakes taken back, and the line tells what is waited for; other keys show the help."""
    await _point(bench, "<Response><Gather input='speech dtmf' action='/said' timeout='60'/></Response>")
    terminal = Terminal()
    call = _call(bench, terminal)
    await bench.until(lambda: terminal.shows("they wait for you: digits, # ends or speech"), "the wait")
    terminal.press("x", "s", *"hellp", "\x7f", "o", "\n")
    await bench.until(lambda: bench.site.got("/said", SpeechResult="hello", Confidence="0.9"), "the action")
    assert sum(line.startswith("keys:") for line in terminal.lines) == 2
    assert await call == 0


async def test_the_debugger_speaks_up(bench: Bench) -> None:
    """Who calls a broken application reads why it failed, and where to look."""
    await _point(bench, "<Response><Sing/></Response>")
    terminal = Terminal()
    assert await _call(bench, terminal) == 0
    assert terminal.shows("(debugger, 12200: <Sing> is not a verb")
    assert terminal.shows(f"all of it: {bench.emulator.url}/_emulator/#calls/call/CA")


async def test_end_of_input_hangs_up(bench: Bench) -> None:
    """When the keys end, the caller hangs up."""
    await _point(bench, CONFERENCE.format(""))
    terminal = Terminal()
    call = _call(bench, terminal)
    await bench.until(lambda: terminal.shows("you are in the conference room-1 as customer"), "the conference")
    terminal.press("")
    assert await call == 0
    assert terminal.shows("the call is over: completed")


async def test_for_seconds(bench: Bench) -> None:
    """With a time limit the caller hangs up when it is over."""
    await _point(bench, CONFERENCE.format(""))
    terminal = Terminal()
    assert await _call(bench, terminal, for_s=0.2) == 0
    assert terminal.shows("the call is over")


async def test_an_interrupt_hangs_up(bench: Bench) -> None:
    """Cancelling, which is what Ctrl-C does, hangs up before it goes."""
    await _point(bench, CONFERENCE.format(""))
    terminal = Terminal()
    call = _call(bench, terminal)
    await bench.until(lambda: terminal.shows("you are in the conference"), "the conference")
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert {one.status.value for one in bench.emulator.world.calls.values()} == {"completed"}


async def test_refusals_are_told(bench: Bench) -> None:
    """An unknown number, or no emulator at all, is exit code 1 and a line that says what to do."""
    lines: list[str] = []
    assert await interactive_call(bench.emulator.url, CALLER, "+15550199999", out=lines.append, keys=None) == 1
    assert await interactive_call("http://127.0.0.1:9", CALLER, NUMBER, out=lines.append, keys=None) == 1
    assert NUMBER in lines[0]
    assert "cordboard emulator" in lines[1]


async def test_keys_of_a_pipe() -> None:
    """Keys come from a pipe one by one, and end with it."""
    reader, writer = os.pipe()
    os.write(writer, b"4a")
    keys = stdin_keys(reader)
    assert [await anext(keys), await anext(keys)] == ["4", "a"]
    os.close(writer)
    assert [key async for key in keys] == []
    os.close(reader)


async def test_keys_of_dev_null() -> None:
    """Input that is empty from the start ends at once."""
    descriptor = os.open("/dev/null", os.O_RDONLY)
    assert [key async for key in stdin_keys(descriptor)] == []
    os.close(descriptor)


async def test_late_readers_catch_up(bench: Bench) -> None:
    """The stream replays what is still kept behind the event that the reader names, for one call if asked."""
    first = await bench.caller("<Response><Hangup/></Response>")
    second = await bench.caller("<Response><Hangup/></Response>")
    await bench.until(lambda: bench.status(second) == "completed", "the end")
    async with bench.session.get(f"{bench.emulator.url}/_emulator/events?from=0&call={first}") as stream:
        ids, text = [], ""
        while "call.completed" not in text:
            text = (await stream.content.readline()).decode()
            ids += [int(text.removeprefix("id: "))] if text.startswith("id: ") else []
            assert second not in text
    assert ids == sorted(ids)
    assert len(ids) >= 3
