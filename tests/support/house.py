"""All of Cordboard in a thread of this process, with the local Twilio: for the command line, which is synchronous.

Its logs go to `house.log` in its folder: a command line under test has the standard streams to itself.
"""

import asyncio
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog

from cordboard.app.bootstrap import Addresses, Part, running
from cordboard.app.local_twilio import ACCOUNT_SID, AUTH_TOKEN, NUMBER
from cordboard.app.supervision import Supervisor
from cordboard.log.port import Entry, Log
from cordboard.settings_checks import load_settings, local_twilio
from free_ports import free_ports
from schemas.topics import Topic, partition_of

CALLER, AGENT, OTHER = "+15550111", "phone:+15550122", "phone:+15550133"
_PATIENCE_S = 30.0


class House:
    """Runs between `__enter__` and `__exit__`; whatever fails inside fails the test."""

    def __init__(self, folder: Path, *, token: str = "", log: str | None = None, topic_prefix: str = "") -> None:
        ingress, ops, emulator = free_ports(3)
        self._bind = f"127.0.0.1:{emulator}"
        self._overrides = {
            **local_twilio(f"127.0.0.1:{ingress}", f"http://{self._bind}", ACCOUNT_SID, AUTH_TOKEN, NUMBER),
            "log": log or f"sqlite:{folder / 'journal.db'}",
            "spool": str(folder / "spool.db"),
            "topic_prefix": topic_prefix,
            "ingress_bind": f"127.0.0.1:{ingress}",
            "ops_bind": f"127.0.0.1:{ops}",
            "ops_token": token,
        }
        self._logs = (folder / "house.log").open("w")
        self._thread = threading.Thread(target=self._run, name="house")
        self._up = threading.Event()
        self._log: Log | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._supervisor: Supervisor | None = None
        self._error: BaseException | None = None
        self.addresses = Addresses("")

    @property
    def ops(self) -> str:
        """The URL of the ops port."""
        return self.addresses.ops

    @property
    def emulator(self) -> str:
        """The URL of the local Twilio."""
        return self.addresses.emulator or ""

    def call(self, caller: str = CALLER) -> str:
        """Somebody calls our number and waits; gives the call's id."""
        call_id: str = self.post("/_emulator/calls", {"from": caller, "to": NUMBER})["call_sid"]
        self.until(call_id, "waiting")
        return call_id

    def until(self, call_id: str, state: str) -> None:
        """Wait for a call to be in a state."""
        _until(
            lambda: any(c["call_id"] == call_id and c["state"] == state for c in self._calls()), f"{call_id} {state}"
        )

    def dead_letter(self, key: str, value: bytes, source: Topic) -> None:
        """Publish something unreadable and wait until it has been put aside."""
        assert self._loop is not None
        assert self._log is not None
        log = self._log
        entry = Entry(partition_of(key.encode(), log.partitions), key.encode(), value)

        async def publish() -> None:
            await log.publish(source, [entry])

        asyncio.run_coroutine_threadsafe(publish(), self._loop).result(_PATIENCE_S)
        _until(lambda: bool(self._get("/v1/dead-letters")["dead_letters"]), "a dead letter")

    def post(self, path: str, body: object) -> Any:
        """A request to the local Twilio."""
        request = urllib.request.Request(f"{self.emulator}{path}", json.dumps(body).encode(), method="POST")  # noqa: S310 our own
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 as above
            return json.load(answer)

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.ops}/readyz", timeout=10):  # noqa: S310 our own
                return True
        except urllib.error.HTTPError:
            return False

    def _calls(self) -> list[dict[str, Any]]:
        calls: list[dict[str, Any]] = self._get("/v1/calls")["calls"]
        return calls

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.ops}{path}", timeout=10) as answer:  # noqa: S310 our own
            return json.load(answer)

    def __enter__(self) -> Self:
        self._logging = structlog.get_config()
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(file=self._logs))
        self._thread.start()
        assert self._up.wait(_PATIENCE_S)
        if self._error is not None:
            raise self._error
        _until(self._is_ready, "everything to be ready")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._loop is not None
        assert self._supervisor is not None
        self._loop.call_soon_threadsafe(self._supervisor.leave, "the test is over")
        self._thread.join(_PATIENCE_S)
        structlog.configure(**self._logging)
        self._logs.close()
        assert not self._thread.is_alive()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            asyncio.run(self._live())
        except BaseException as error:  # noqa: BLE001 handed to the test's thread
            self._error = error
        finally:
            self._up.set()

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._supervisor = Supervisor()
        loaded = load_settings(None, overrides=self._overrides, needs="run")
        async with running(loaded, frozenset(Part), self._supervisor, emulator_bind=self._bind) as process:
            self.addresses, self._log = process.addresses, process.log
            self._up.set()
            await self._supervisor.wait()
        assert self._supervisor.failed_late == []


def _until(happens: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not happens():
        assert time.monotonic() < end, f"waited {_PATIENCE_S} s for {what}"
        time.sleep(0.02)
