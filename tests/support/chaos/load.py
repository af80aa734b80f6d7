"""The load: callers who call, are connected, held, transferred and sent home, at a stated rate, from the seed."""

import asyncio

import aiohttp

from chaos.feed import Commander, Feed, event_of
from chaos.options import Options
from chaos.plan import APPLICATION, CallScript, draw_call
from chaos.services import Services
from chaos.topics import Said

_BEGINS_S = 60.0
_RESULT_S = 30.0
_AGENT_TALKS_S = 0.5


class Load:
    """Begins calls until it is told to stop; each goes through its script by itself."""

    def __init__(self, options: Options, services: Services, feed: Feed, commander: Commander) -> None:
        self._options = options
        self._services = services
        self._feed = feed
        self._commander = commander
        self.begun = 0
        self.refused = 0
        """Calls that the local Twilio did not take."""
        self.not_answered = 0
        """Results that the driver did not wait for any longer; the checker looks whether they came."""
        self.staying: set[str] = set()
        self._under_way: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()

    @property
    def under_way(self) -> int:
        """Callers in the middle of their script."""
        return len(self._under_way)

    async def run(self) -> None:
        """Begin calls at the rate, unless too many are up; return when told to stop and all scripts are done."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not self._stop.is_set():
            due = max(due + 1 / self._options.rate, loop.time() - 1.0)
            if len(self._under_way) < self._options.at_once:
                self._begin()
            await asyncio.sleep(max(0.0, due - loop.time()))
        if self._under_way:
            await asyncio.wait(self._under_way)

    def stop(self) -> None:
        """Begin no more calls."""
        self._stop.set()

    def _begin(self) -> None:
        number = self.begun
        self.begun += 1
        task = asyncio.get_running_loop().create_task(self._call(number, draw_call(self._options.seed, number)))
        self._under_way.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            error = task.exception()
            if isinstance(error, aiohttp.ClientError | TimeoutError):
                self.refused += 1
            elif error is not None:
                raise error

    async def _call(self, number: int, script: CallScript) -> None:
        by = {"application_sid": APPLICATION, "parameters": {"To": script.number}} if script.is_browser else {}
        answer = await self._services.twilio("POST", "/calls", {"from": script.caller, "to": script.number, **by})
        call_id = answer["call_sid"]
        if script.hangs_up_only:
            await self._leave(call_id, script.impatient_s)
            return
        if not await self._begins(call_id, script):
            await self._hang_up(call_id)
            return
        impatient = asyncio.create_task(self._leave(call_id, script.impatient_s)) if script.impatient_s else None
        for index, said in enumerate(script.said):
            if not await self._say(f"{number}-{index}", call_id, said):
                break
        if impatient is not None:
            await impatient
        if script.stays:
            self.staying.add(call_id)
        elif script.ends_by_command:
            await self._say(f"{number}-end", call_id, Said("call.end", {}, _AGENT_TALKS_S))
        else:
            await self._leave(call_id, _AGENT_TALKS_S)

    async def _begins(self, call_id: str, script: CallScript) -> bool:
        """Wait until a caller is in the room; one of the queue is, as soon as a worker has taken the call."""
        key = event_of(call_id, script.begins_with)
        happened = self._feed.expect(key)
        return await self._feed.heard(key, happened, _BEGINS_S) is not None

    async def _say(self, command_id: str, call_id: str, said: Said) -> bool:
        """Give a command and wait for what it is to bring; whether it did what it should."""
        await asyncio.sleep(said.after_s)
        key = event_of(call_id, said.reached) if said.reached else command_id
        happened = self._feed.expect(key)
        if not await self._commander.send(command_id, said.name, call_id, said.data):
            return False
        data = await self._feed.heard(key, happened, _RESULT_S)
        if said.reached:
            return data is not None
        if data is None:
            self.not_answered += 1
            return False
        return bool(data["outcome"] == "applied")

    async def _leave(self, call_id: str, after_s: float) -> None:
        await asyncio.sleep(after_s)
        await self._hang_up(call_id)

    async def _hang_up(self, call_id: str) -> None:
        await self._services.twilio("POST", f"/calls/{call_id}/hangup")
