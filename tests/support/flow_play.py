"""A call flow as it is played: what people and services do, one after the other, and all that comes of it.

Commands go through the installed `cordboard send`, people through the control routes of the local Twilio.
"""

import asyncio
import os
import time
from asyncio.subprocess import PIPE, STDOUT, Process
from typing import Any

import msgspec

from cordboard.app.output import commands_in, event_line
from emulator.journal import RestRequest
from flow_stage import Record, Stage, Told, instant, soon
from service_process import COMMAND
from stack import AGENT, NUMBER, Call, Json, until

LAST_S = 70.0
_PEOPLE_ARE_ASKED = {"call.connect", "call.dial", "call.add", "call.transfer"}
"""Commands whose result waits for somebody to pick up: the command line is told to wait longer than its 10 s."""
SETUP = "CORDBOARD_OPS_BIND"


class Act(msgspec.Struct, frozen=True):
    """What somebody in the call did, or what nobody did (`who` empty); epoch seconds."""

    at_s: float
    who: str
    does: str


class Sent(msgspec.Struct, frozen=True):
    """A command line as it was typed, what it printed, and its exit code. `words` are its data, `wait` how it waits."""

    name: str
    words: tuple[str, ...]
    wait: tuple[str, ...]
    printed: str
    code: int


class Played(msgspec.Struct, frozen=True):
    """All that came of a flow. `legs`: CallSid to leg name. `timeline` is what `cordboard call ID` prints.

    What was before `begins_s` (epoch seconds) is no part of the flow but its precondition, told by `begins_with`.
    """

    call_id: str
    view: Json
    acts: list[Act]
    sent: list[Sent]
    records: list[Record]
    told: list[Told]
    rest: list[RestRequest]
    events: list[Json]
    legs: dict[str, str]
    timeline: list[str]
    begins_s: float
    begins_with: str


class Play:
    """One call from its begin. Every deed is over when nobody has anything more to say about it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.acts: list[Act] = []
        self._typed: list[tuple[str, tuple[str, ...], Process]] = []
        self._call: Call | None = None
        self._begins_s, self._begins_with = 0.0, ""
        self._told_before = len(stage.twilio_tells.told)
        self._rest_before = len(stage.rest_taken)
        stage.call_id = None

    @property
    def call(self) -> Call:
        """The call, once it is known."""
        assert self._call is not None, "nobody has called yet"
        return self._call

    def _take(self, call: Call) -> None:
        self._call = call
        self.stage.call_id = call.call_id
        self.stage.held_back = False

    def _acts(self, who: str, does: str) -> None:
        self.acts.append(Act(time.time(), who, does))

    # -- people ---------------------------------------------------------------------------------------------------

    async def dials_in(self) -> None:
        """Somebody calls our number."""
        self._acts("customer-1", f"calls {NUMBER}")
        self._take(await self.stage.caller_dials())
        await self.stage.settled()

    async def browser_dials(self, agent: str, number: str) -> None:
        """An agent calls a number from the browser."""
        self._acts("agent-1", f"calls {number} in the browser")
        self._take(await self.stage.browser_dials(agent, number))
        await self.stage.settled()

    async def talks(self) -> None:
        """A caller and an agent talk, and the flow begins here."""
        await self.dials_in()
        await self.call.send("call.connect", to=AGENT)
        await self.stage.settled()
        await self.answers("agent-1")
        self.begins("customer-1 and agent-1 are in conference")

    def begins(self, how: str) -> None:
        """What was before is the precondition of the flow."""
        self.acts.clear()
        self._begins_s, self._begins_with = time.time(), how

    async def answers(self, leg: str) -> None:
        """Whoever is called as `leg` picks up."""
        self._acts(leg, "answers")
        await self._control(leg, "answer")

    async def declines(self, leg: str) -> None:
        """Whoever is called as `leg` presses the red button."""
        self._acts(leg, "declines")
        await self._control(leg, "hangup")

    async def hangs_up(self, leg: str) -> None:
        """`leg` puts the phone down."""
        self._acts(leg, "hangs up")
        await self._control(leg, "hangup")

    async def leaves_a_message(self, leg: str) -> None:
        """`leg` hears the tone, speaks, and puts the phone down."""
        sid = await self.call.sid_of(leg)

        async def hears_the_tone() -> bool:
            return self.stage.is_recorded(sid)

        await soon("the tone", hears_the_tone)
        self._acts(leg, "speaks, then hangs up")
        await self._control(leg, "hangup")

    async def _control(self, leg: str, what: str) -> None:
        await self.stage.twilio("POST", f"/calls/{await self.call.sid_of(leg)}/{what}")
        await self.stage.settled()

    async def room_is_lost(self) -> None:
        """The conference ends, and nobody in the call wanted it to."""
        self._acts("", "the conference ends, and nobody in it wanted it to")
        await self.stage.loses_the_room(self.call.call_id)
        await self.stage.settled()

    async def person(self, target: str, **behaviour: Any) -> None:
        """How somebody behaves when called from now on."""
        await self.stage.person(target, **behaviour)

    async def worker(self, activity: str) -> None:
        """The worker of the queue is `Available`, or `Offline`."""
        await self.stage.twilio("PUT", "/workers/carla", {"activity": activity})
        await self.stage.settled()

    async def waits_for(self, event: str, times: int = 1, **data: str) -> None:
        """Time passes until an event, with this in its data, has been told so many times."""
        wanted = f"cordboard.event.{event}.v1"

        async def told() -> bool:
            events = [one for one in await self.call.events() if one["type"] == wanted]
            return len([one for one in events if data.items() <= one["data"].items()]) >= times

        await until(f"{event} {times} times", told)
        await self.stage.settled()

    # -- the service ----------------------------------------------------------------------------------------------

    async def sends(self, name: str, *words: str) -> None:
        """A command, typed; the command line may still be waiting for the result when this is over."""
        before = self._commands()
        to = ("--call", self.call.call_id) if self._call else ()
        self.stage.held_back = self._call is None
        process = await self._type("send", name, *to, *words, *_wait(name))
        self._typed.append((name, words, process))

        async def taken() -> bool:
            if self._call is None and (newest := self.stage.newest_call(before)):
                self._take(Call(self.stage, newest))
            return process.returncode is not None or (self._call is not None and self._commands() != before)

        await soon(f"{name} to be taken", taken)
        await self.stage.settled()

    def _commands(self) -> str:
        """What tells that one more command has been taken."""
        if self._call is None:
            return self.stage.newest_call() or ""
        return str(sum(record.body["kind"] == "command" for record in self.stage.inbox()))

    async def prints(self, *words: str) -> str:
        """What the command line prints."""
        printed, _ = await _ended(await self._type(*words))
        return printed

    async def _type(self, *words: str) -> Process:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("CORDBOARD_")}
        env = {**clean, SETUP: self.stage.commands.removeprefix("http://"), "COLUMNS": "160"}
        return await asyncio.create_subprocess_exec(COMMAND, *words, env=env, stdout=PIPE, stderr=STDOUT)

    # -- what came of it ------------------------------------------------------------------------------------------

    async def over(self) -> Played:
        """End the call if it is still up, and give all that came of the flow before that."""
        sent = [Sent(name, words, _wait(name), *await _ended(process)) for name, words, process in self._typed]
        self.stage.check()
        view, records = await self.call.view(), self.stage.inbox()
        told, rest = self.stage.twilio_tells.told[self._told_before :], self.stage.rest_taken[self._rest_before :]
        events = await self._events_before_the_end()
        wrapped = [event for event in await self.call.events() if event["type"] == "cordboard.event.task.wrapping.v1"]
        await self.waits_for("task.completed", len(wrapped))  # the worker is free for the next flow
        return Played(
            call_id=self.call.call_id, view=view, acts=self.acts, sent=sent, records=records, told=told, rest=rest,
            events=events, legs=self._legs(view), timeline=self._timeline(events),
            begins_s=self._begins_s, begins_with=self._begins_with,
        )  # fmt: skip

    def _timeline(self, events: list[Json]) -> list[str]:
        commands = commands_in(events)
        return [event_line(event, commands) for event in events if self._is_part(event)]

    def _is_part(self, event: Json) -> bool:
        return instant(event) >= self._begins_s

    def _legs(self, view: Json) -> dict[str, str]:
        return {leg["call_sid"]: leg["leg"] for leg in view["legs"] if leg["call_sid"]}

    async def _events_before_the_end(self) -> list[Json]:
        """End the call. Events come in the order of their causes: with the end's result, all before it are there."""
        end = await self.call.send("call.end")
        await self.call.result_of(end)
        await self.stage.settled()
        [ended_at] = [record.body["at"] for record in self.stage.inbox() if record.body.get("command_id") == end]
        return [event for event in await self.call.events() if instant(event) < ended_at / 1000]


def _wait(name: str) -> tuple[str, ...]:
    return ("--wait", "60") if name in _PEOPLE_ARE_ASKED else ()


async def _ended(process: Process) -> tuple[str, int]:
    printed, _ = await asyncio.wait_for(process.communicate(), LAST_S)
    assert process.returncode is not None
    return printed.decode(), process.returncode
