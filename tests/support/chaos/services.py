"""The services of a chaos run as processes, two of each, and who starts them again when they are gone."""

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp

from chaos.links import Link
from chaos.plan import NUMBER, SERVICES, Part
from chaos.policy import SERVICE, WORKER, write_policy
from chaos.twilio import WORLD_FILE
from emulator.taskrouter.config import WORKFLOW_SID, WORKSPACE_SID
from free_ports import free_ports
from service_process import Service
from stack import ACCOUNT, TOKEN

OF_EACH = 2
PARTITIONS = 8
_WATCH_S = 0.1
_START_AGAIN_S = 0.5
_READY_S = 60.0
_DRAIN_S = 10.0
_LEAVES_S = 20.0


class Unit:
    """One service process. A lock keeps blows against it apart; what it does by itself is written down."""

    def __init__(self, part: Part, service: Service) -> None:
        self.part = part
        self.service = service
        self.busy = asyncio.Lock()
        self.pids: list[int] = []
        self.wrong: list[str] = []
        """Ends that nobody asked for, and drains that did not end well."""
        self._wanted = False

    @property
    def name(self) -> str:
        """As its log file is called."""
        return self.service.name

    def start(self) -> None:
        """Start it, or start it again."""
        self._wanted = True
        self.service.start()
        self.pids.append(self.service.pid or 0)

    def kill(self) -> None:
        """-9."""
        self._wanted = False
        self.service.kill()

    async def die(self) -> None:
        """As `kill`, for who waits for either end."""
        self.kill()

    async def stop(self) -> None:
        """SIGTERM, and see that it leaves in order and in time."""
        self._wanted = False
        began = time.monotonic()
        self.service.signal(signal.SIGTERM)
        while not self.service.dead and time.monotonic() < began + _LEAVES_S:
            await asyncio.sleep(0.01)
        took_s = time.monotonic() - began
        if not self.service.dead:
            self.service.kill()
            self.wrong.append(f"{self.name} had to be killed {took_s:.1f} s after SIGTERM")
        elif (code := self.service.ends_with()) != 0:
            self.wrong.append(f"{self.name} left with {code} after SIGTERM")
        elif took_s > _DRAIN_S:
            self.wrong.append(f"{self.name} took {took_s:.1f} s to leave")

    async def watch(self) -> None:
        """Start it again whenever it has ended by itself."""
        while True:
            await asyncio.sleep(_WATCH_S)
            if self._wanted and self.service.dead and not self.busy.locked():
                async with self.busy:
                    self.wrong.append(f"{self.name} ended by itself with {self.service.ends_with()}")
                    await asyncio.sleep(_START_AGAIN_S)
                    self.start()


class Services:
    """All of them, the local Twilio, and the links between them and it."""

    def __init__(self, folder: Path, linked: str, seed: int, prefix: str = "", *, together: bool = False) -> None:
        self.folder = folder
        self._seed = seed
        twilio, to_twilio, public, *ingress = free_ports(3 + OF_EACH)
        self._twilio_port = twilio
        self.twilio_url = f"http://127.0.0.1:{twilio}"
        self.to_twilio = Link(to_twilio, (twilio,))
        self.to_ingress = Link(public, ingress)
        self.policy_file = write_policy(folder)
        self._env = {
            "CORDBOARD_POLICY_FILE": str(self.policy_file),
            "CORDBOARD_LOG": f"kafka:{linked}",
            "CORDBOARD_TOPIC_PREFIX": prefix,
            "CORDBOARD_PARTITIONS": str(PARTITIONS),
            "CORDBOARD_PUBLIC_URL": f"http://127.0.0.1:{public}",
            "CORDBOARD_TWILIO_ACCOUNT_SID": ACCOUNT,
            "CORDBOARD_TWILIO_AUTH_TOKEN": TOKEN,
            "CORDBOARD_TWILIO_API_URL": f"http://127.0.0.1:{to_twilio}",
            "CORDBOARD_TWILIO_NUMBER": NUMBER,
            "CORDBOARD_TWILIO_CALLS_PER_SECOND": "0",
            "CORDBOARD_TASKROUTER_WORKSPACE": WORKSPACE_SID,
            "CORDBOARD_TASKROUTER_WORKFLOW": WORKFLOW_SID,
        }
        self.units = {
            part: [self._unit(part, index, ingress[index]) for index in range(OF_EACH)]
            for part in ((Part.EVERYTHING,) if together else SERVICES)
        }
        """By what they do. One that does everything is found under each."""
        if together:
            self.units |= dict.fromkeys(SERVICES, self.units[Part.EVERYTHING])
        self._session: aiohttp.ClientSession | None = None
        self._twilio: asyncio.subprocess.Process | None = None

    def _unit(self, part: Part, index: int, port: int) -> Unit:
        name = f"{part.value}-{index + 1}"
        folder = self.folder / name
        folder.mkdir(parents=True)
        env = {
            **self._env,
            "CORDBOARD_INGRESS_BIND": f"127.0.0.1:{port}",
            "CORDBOARD_OPS_BIND": f"127.0.0.1:{free_ports(1)[0]}",
        }
        return Unit(part, Service(name, (part.value,), env, folder))

    @property
    def all(self) -> list[Unit]:
        """Every service process."""
        return list(dict.fromkeys(unit for units in self.units.values() for unit in units))

    def logs(self) -> Iterable[Path]:
        """Where they write."""
        return (unit.service.log_file for unit in self.all)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Topics, the local Twilio and every service, ready; until the context ends."""
        async with AsyncExitStack() as stack:
            self._session = await stack.enter_async_context(
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30), connector=aiohttp.TCPConnector(limit=50))
            )
            for link in (self.to_twilio, self.to_ingress):
                await stack.enter_async_context(link)
            await self._ensure_topics()
            await self._start_twilio()
            stack.push_async_callback(self.end_twilio)
            await self.twilio("PUT", f"/conversations/{SERVICE}", {"worker": WORKER})
            for unit in self.all:
                unit.start()
                stack.callback(unit.kill)
            watching = [asyncio.create_task(unit.watch()) for unit in self.all]
            stack.callback(lambda: [task.cancel() for task in watching])
            await self.ready(_READY_S)
            yield

    async def _ensure_topics(self) -> None:
        topics = Service(
            "topics", ("topics", "ensure"), {**self._env, "CORDBOARD_OPS_BIND": "127.0.0.1:1"}, self.folder
        )
        topics.start()
        code = await asyncio.to_thread(topics.ends_with)
        if code != 0:
            raise RuntimeError(f"cordboard topics ensure ended with {code}:\n{topics.tail()}")

    async def _start_twilio(self) -> None:
        here = Path(__file__).parent.parent
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), str(here.parent.parent)])}
        bind, public_url = f"127.0.0.1:{self._twilio_port}", self._env["CORDBOARD_PUBLIC_URL"]
        arguments = (bind, public_url, str(self.folder), str(self._seed))
        with (self.folder / "twilio.log").open("wb") as log:
            self._twilio = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "chaos.twilio", *arguments, env=env, stdout=log, stderr=log
            )
        await self._until("the local Twilio", self._twilio_answers, _READY_S)

    async def _twilio_answers(self) -> bool:
        return await self.status(f"{self.twilio_url}/_emulator/health") == 200

    async def end_twilio(self) -> None:
        """SIGTERM: it writes down what it knows."""
        if self._twilio is not None and self._twilio.returncode is None:
            self._twilio.terminate()
            await self._twilio.wait()

    async def show_twilio(self) -> bytes:
        """The world of the local Twilio as it is now (`chaos.twilio.WorldSeen`)."""
        if self._twilio is None:
            raise RuntimeError("the local Twilio is not started")
        path = self.folder / WORLD_FILE
        path.unlink(missing_ok=True)
        self._twilio.send_signal(signal.SIGUSR1)

        async def written() -> bool:
            return path.exists()

        await self._until("the local Twilio to write its world", written, _READY_S)
        return path.read_bytes()

    async def ready(self, patience_s: float) -> None:
        """Wait until every service says that it is."""

        async def answers() -> bool:
            found = await asyncio.gather(*(self.status(f"{unit.service.ops}/readyz") for unit in self.all))
            return all(status == 200 for status in found)

        await self._until("every service to be ready", answers, patience_s)

    async def is_alive(self, unit: Unit) -> bool:
        """Wait until one service answers at all: before that a signal finds an interpreter that is still importing."""
        return await self._answers(unit, "healthz", _READY_S)

    async def is_ready(self, unit: Unit, patience_s: float = _READY_S) -> bool:
        """Wait until one service says that it is; False when it does not within the time."""
        return await self._answers(unit, "readyz", patience_s)

    async def _answers(self, unit: Unit, question: str, patience_s: float) -> bool:
        async def answers() -> bool:
            return await self.status(f"{unit.service.ops}/{question}") == 200

        try:
            await self._until(f"{unit.name}/{question}", answers, patience_s)
        except TimeoutError:
            return False
        return True

    async def live_partitions(self, unit: Unit) -> int:
        """How many partitions a service owns and has restored; 0 when it does not answer."""
        part = Part.ENGINE if unit.part is Part.EVERYTHING else unit.part
        return await self._figure(unit, f'cordboard_partitions_live{{service="{part.value}"}}') or 0

    async def spooled(self, unit: Unit) -> int | None:
        """How many records an ingress has answered for that the log does not have yet; None when it does not answer."""
        return await self._figure(unit, "cordboard_spool_records")

    async def _figure(self, unit: Unit, name: str) -> int | None:
        """One of a service's metrics; None where it is not."""
        if self._session is None:
            return None
        try:
            async with self._session.get(f"{unit.service.ops}/metrics") as answer:
                lines = (await answer.text()).splitlines()
        except (aiohttp.ClientError, TimeoutError):
            return None
        return next((int(float(line.split()[-1])) for line in lines if line.startswith(f"{name} ")), None)

    async def status(self, url: str) -> int:
        """The status of a GET, 0 when nobody answers."""
        if self._session is None:
            return 0
        try:
            async with self._session.get(url) as answer:
                return answer.status
        except (aiohttp.ClientError, TimeoutError):
            return 0

    async def twilio(self, method: str, path: str, body: object = None) -> dict[str, str]:
        """A control request to the local Twilio; empty for what it refuses, as for a call that is over."""
        if self._session is None:
            raise RuntimeError("not running")
        async with self._session.request(method, f"{self.twilio_url}/_emulator{path}", json=body) as answer:
            found: dict[str, str] = await answer.json() if answer.status < 300 else {}
            return found

    async def _until(self, what: str, happens: Callable[[], Awaitable[bool]], patience_s: float) -> None:
        end = time.monotonic() + patience_s
        while not await happens():
            if time.monotonic() > end:
                dead = [f"{unit.name}:\n{unit.service.tail()}" for unit in self.all if unit.service.dead]
                raise TimeoutError(f"waited {patience_s:.0f} s for {what}. {' '.join(dead)}")
            await asyncio.sleep(0.05)

    def wrong(self) -> Counter[str]:
        """What the processes did that nobody asked for."""
        return Counter(line for unit in self.all for line in unit.wrong)
