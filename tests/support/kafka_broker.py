"""A real Kafka broker, or a cluster of them, as child processes on loopback: started, stopped, killed, frozen.

Not here: fetching the jars (`kafka_jars`), configuration (`kafka_config`), the pytest fixtures (`tests/conftest.py`),
and any knowledge of Cordboard. All methods block: a coroutine calls them through `asyncio.to_thread`.
"""

import atexit
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from kafka_config import Quorum, server_properties
from kafka_jars import KAFKA_VERSION, fetch_jars
from kafka_ready import wait_until_ready

__all__ = ["QUICK_JVM", "STEADY_JVM", "BrokerFailedError", "KafkaBroker", "KafkaCluster"]

_START_TIMEOUT_S = 90.0
_STOP_TIMEOUT_S = 45.0
_LOG_TAIL_LINES = 10
_TROUBLE = re.compile(r"\b(ERROR|FATAL|Exception|Caused by)\b|Exception:")
_LOG_TIMES = ("-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS")
QUICK_JVM = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""Up soon, at the price of the compiler that makes a broker fast in the long run."""

STEADY_JVM = ("-Xmx1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20")
"""As Kafka's own start script has it: for measuring."""
# Kills the broker when the process that started it is gone, however it went: its end of the pipe closes.
_WATCHDOG = """
import os, signal, sys
if not sys.stdin.buffer.read(1):
    os.kill(int(sys.argv[1]), signal.SIGKILL)
"""


class BrokerFailedError(RuntimeError):
    """A broker did not start, stop or answer in time; the message carries the tail of its log."""


class KafkaBroker:
    """One combined broker and controller. Port and data outlive `stop` and `kill`: `start` brings the same one back."""

    def __init__(
        self,
        data_dir: Path,
        *,
        quorum: Quorum | None = None,
        node_id: int = 1,
        settings: Mapping[str, str] | None = None,
        scram_users: Mapping[str, str] | None = None,
        version: str = KAFKA_VERSION,
        jvm: Sequence[str] = QUICK_JVM,
    ) -> None:
        """Prepare a broker that keeps everything under `data_dir`; `settings` replace lines of server.properties.

        `scram_users` are passwords by name, known from the first start on.
        Without a `quorum` it is a cluster of its own. Nothing is fetched or started yet.
        """
        self._quorum = quorum or Quorum.of(1)
        self._node = next(node for node in self._quorum.nodes if node.node_id == node_id)
        self._home = data_dir
        self._settings = dict(settings or {})
        self._scram_users = dict(scram_users or {})
        self._version = version
        self._jvm = jvm
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """This broker's address, `127.0.0.1:port`."""
        return f"127.0.0.1:{self._node.port}"

    @property
    def node_id(self) -> int:
        """Kafka's `node.id`."""
        return self._node.node_id

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self.running and self._process else None

    @property
    def log_file(self) -> Path:
        """Everything that the broker has said, over all its starts."""
        return self._home / "broker.log"

    @property
    def running(self) -> bool:
        """Whether the process is there; a paused one is."""
        return self._process is not None and self._process.poll() is None

    def start(self, timeout_s: float = _START_TIMEOUT_S) -> Self:
        """Start, and return once the broker answers for itself; format its storage the first time.

        Raises `BrokerFailedError` if it does not within `timeout_s`, `KafkaUnavailableError` if this machine lacks
        Java, Maven or the jars.
        """
        self.launch()
        self.wait_until_ready(timeout_s)
        return self

    def launch(self) -> None:
        """Start the process without waiting for it; the brokers of a cluster need one another to become ready."""
        if self.running:
            return
        self._forget()
        self._format_once()
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self._java(*self._jvm, *_LOG_TIMES, main="kafka.Kafka", arguments=[str(self._properties)]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._watchdog = subprocess.Popen(
            [sys.executable, "-c", _WATCHDOG, str(self._process.pid)], stdin=subprocess.PIPE
        )
        atexit.register(self.kill)

    def wait_until_ready(self, timeout_s: float = _START_TIMEOUT_S) -> None:
        """Return once the broker names itself in its metadata. Raises `BrokerFailedError` as `start` does."""
        if not wait_until_ready(self.bootstrap, self.node_id, timeout_s, alive=lambda: self.running):
            state = "did not answer" if self.running else "exited"
            self.kill()
            message = f"broker {self.node_id} at {self.bootstrap} {state} (limit {timeout_s:.0f} s)\n{self.log_tail()}"
            raise BrokerFailedError(message)

    def stop(self, timeout_s: float = _STOP_TIMEOUT_S) -> None:
        """Stop orderly (SIGTERM): leadership is handed over, the log is flushed. Does nothing if it is down."""
        if not self.running or self._process is None:
            return
        self.resume()
        self._process.terminate()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired as expired:
            self.kill()
            message = f"broker {self.node_id} did not stop within {timeout_s:.0f} s\n{self.log_tail()}"
            raise BrokerFailedError(message) from expired
        self._forget()

    def kill(self) -> None:
        """Kill it (SIGKILL), also when it is paused. Does nothing if it is down."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._forget()

    def restart(self, timeout_s: float = _START_TIMEOUT_S) -> Self:
        """Stop orderly and start again on the same port and data."""
        self.stop()
        return self.start(timeout_s)

    def pause(self) -> None:
        """Freeze the process (SIGSTOP): its sockets stay open and nobody answers."""
        if self.running and self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen process go on (SIGCONT)."""
        if self.running and self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def log_tail(self, lines: int = _LOG_TAIL_LINES) -> str:
        """Return the broker's own words about trouble, then its last lines: a failed start ends in a long farewell."""
        if not self.log_file.exists():
            return "(no log)"
        everything = self.log_file.read_text(errors="replace").splitlines()
        trouble = [line for line in everything if _TROUBLE.search(line)]
        return "\n".join([*trouble[:lines], "…", *everything[-lines:]])

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill: whoever needs an orderly stop calls it."""
        self.kill()

    @property
    def _properties(self) -> Path:
        return self._home / "server.properties"

    def _java(self, *options: str, main: str, arguments: list[str]) -> list[str]:
        jars = fetch_jars(self._version)
        return ["java", *options, "-cp", f"{jars}/*", main, *arguments]

    def _format_once(self) -> None:
        log_dir = self._home / "data"
        if (log_dir / "meta.properties").exists():
            return
        self._home.mkdir(parents=True, exist_ok=True)
        self._properties.write_text(server_properties(self._quorum, self._node, log_dir, self._settings))
        arguments = ["format", "--cluster-id", self._quorum.cluster_id, "--config", str(self._properties)]
        for name, password in self._scram_users.items():
            arguments += ["--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]"]
        command = self._java("-XX:TieredStopAtLevel=1", main="kafka.tools.StorageTool", arguments=arguments)
        done = subprocess.run(command, capture_output=True, text=True, timeout=_START_TIMEOUT_S, check=False)
        if done.returncode != 0:
            message = f"the storage of broker {self.node_id} could not be formatted:\n{done.stdout}{done.stderr}"
            raise BrokerFailedError(message)

    def _forget(self) -> None:
        """Send the watchdog home, once the broker has been waited for."""
        atexit.unregister(self.kill)
        if self._watchdog is not None:
            self._watchdog.communicate(b".")
        self._process = self._watchdog = None


class KafkaCluster:
    """Several brokers, every one a controller too; topics are replicated to three with two in sync."""

    def __init__(
        self,
        data_dir: Path,
        *,
        brokers: int = 3,
        settings: Mapping[str, str] | None = None,
        version: str = KAFKA_VERSION,
    ) -> None:
        """Prepare the brokers on free ports; nothing is fetched or started yet."""
        self._quorum = Quorum.of(brokers)
        self.brokers = [
            KafkaBroker(
                data_dir / f"broker-{node.node_id}",
                quorum=self._quorum,
                node_id=node.node_id,
                settings=settings,
                version=version,
            )
            for node in self._quorum.nodes
        ]

    @property
    def bootstrap(self) -> str:
        """The addresses of all brokers, up or down."""
        return self._quorum.bootstrap()

    def start(self, timeout_s: float = _START_TIMEOUT_S) -> Self:
        """Start all that are down and return once each answers. Raises `BrokerFailedError` if one does not."""
        for broker in self.brokers:
            broker.launch()
        for broker in self.brokers:
            broker.wait_until_ready(timeout_s)
        return self

    def stop(self) -> None:
        """Stop all orderly, together: a lone broker would wait for a quorum that is gone."""
        with ThreadPoolExecutor(len(self.brokers)) as pool:
            list(pool.map(KafkaBroker.stop, self.brokers))

    def kill(self) -> None:
        """Kill all."""
        for broker in self.brokers:
            broker.kill()

    def __enter__(self) -> Self:
        """Start all."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill all: whoever needs an orderly stop calls it."""
        self.kill()
