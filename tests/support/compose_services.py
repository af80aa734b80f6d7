"""The services of docker-compose.yml as processes of this machine, for a machine without a container engine.

Commands, environment and health checks are read from the compose file; only host names and ports are replaced. Kafka is
not started here: the caller brings it.
"""

import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from checkout import ROOT
from free_ports import free_ports

__all__ = ["ComposeServices", "ServiceFailedError"]

_HEALTHY_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 30.0
_POLL_S = 0.1
_LONG_RUNNING = ("ingress", "engine", "actions", "observe", "emulator")
_VARIABLE = re.compile(r"\$\{(\w+):([?-])([^}]*)\}")


class ServiceFailedError(RuntimeError):
    """A service did not become healthy or did not leave in order; the message carries the end of its output."""


class ComposeServices:
    """What `docker compose --env-file … --profile local-twilio up` starts, against a Kafka that is running already."""

    def __init__(self, kafka: str, home: Path, *, topic_prefix: str) -> None:
        """Read the compose file with deploy/local.env; outputs and working folders lie under `home`."""
        self._services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
        self._given = {**_env_file(ROOT / "deploy" / "local.env"), "CORDBOARD_TOPIC_PREFIX": topic_prefix}
        self._home = home
        self._kafka = kafka
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        ports = free_ports(len(_LONG_RUNNING) + 1)
        self._ops_ports = dict(zip(_LONG_RUNNING, ports, strict=False))
        self._webhooks_port = ports[-1]

    def ops_url(self, service: str) -> str:
        """Where the service's ops port answers; for the emulator, where it answers at all."""
        return f"http://127.0.0.1:{self._ops_ports[service]}"

    @property
    def ops_token(self) -> str:
        """The bearer token of the ops ports."""
        return self._given["CORDBOARD_OPS_TOKEN"]

    def ensure_topics(self) -> None:
        """Run the one-shot service. Raises `ServiceFailedError` if it exits with anything but 0."""
        self._spawn("topics")
        self._expect_exit("topics")

    def start(self) -> None:
        """Start all services, and return once every health check says yes. Raises `ServiceFailedError`."""
        for service in _LONG_RUNNING:
            self._spawn(service)
        for service in _LONG_RUNNING:
            self._wait_until_healthy(service)

    def stop(self) -> None:
        """Send every service SIGTERM. Raises `ServiceFailedError` for one that does not exit with 0 in time."""
        for process in self._running.values():
            process.terminate()
        for service in list(self._running):
            self._expect_exit(service)

    def kill(self) -> None:
        """Kill whatever still runs."""
        for process in self._running.values():
            process.kill()
            process.wait()
        self._running.clear()

    def files_written(self) -> list[str]:
        """Name what the services left in their working folders; in the containers only volumes can be written."""
        files = (path for path in self._home.rglob("*") if path.is_file() and path.name != "output")
        files = (path for path in files if "volume" not in path.parts)
        return [str(path.relative_to(self._home)) for path in files]

    def _spawn(self, service: str) -> None:
        folder = self._home / service
        folder.mkdir()
        command = [self._localised(service, word) for word in self._services[service]["command"]]
        with (folder / "output").open("wb") as output:
            self._running[service] = subprocess.Popen(
                [sys.executable, "-m", "cordboard.app.cli", *command],
                cwd=folder,
                env=self._environment(service),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def _environment(self, service: str) -> dict[str, str]:
        declared = self._services[service]["environment"]
        values = {name: self._value(name, value) for name, value in declared.items()}
        return {name: self._localised(service, value) for name, value in values.items() if value is not None}

    def _value(self, name: str, declared: Any) -> str | None:  # what YAML holds: text, number or nothing
        if declared is None:
            return self._given.get(name)
        return _VARIABLE.sub(lambda variable: self._given.get(variable[1]) or _default(variable), str(declared))

    def _localised(self, service: str, text: str) -> str:
        places = {
            "kafka:9092": self._kafka,
            "ingress:8080": f"127.0.0.1:{self._webhooks_port}",
            "0.0.0.0:8080": f"127.0.0.1:{self._webhooks_port}",
            "emulator:8090": f"127.0.0.1:{self._ops_ports['emulator']}",
            "0.0.0.0:8090": f"127.0.0.1:{self._ops_ports['emulator']}",
            "/var/lib/cordboard/spool/": f"{self._home / service / 'volume'}/",
            "0.0.0.0:8081": f"127.0.0.1:{self._ops_ports.get(service, 0)}",
        }
        for place, here in places.items():
            text = text.replace(place, here)
        return text

    def _wait_until_healthy(self, service: str) -> None:
        check = " ".join(self._services[service]["healthcheck"]["test"])
        path = re.findall(r"http://127\.0\.0\.1:\d+(/[\w/]+)", check)[0]
        deadline = time.monotonic() + _HEALTHY_TIMEOUT_S
        while not _answers(self.ops_url(service) + path):
            if time.monotonic() > deadline or self._running[service].poll() is not None:
                raise ServiceFailedError(self._told(service, "did not become healthy"))
            time.sleep(_POLL_S)

    def _expect_exit(self, service: str) -> None:
        process = self._running[service]
        try:
            code = process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired as expired:
            raise ServiceFailedError(self._told(service, f"did not exit within {_STOP_TIMEOUT_S:.0f} s")) from expired
        del self._running[service]
        if code != 0:
            raise ServiceFailedError(self._told(service, f"exited with {code}"))

    def _told(self, service: str, what: str) -> str:
        output = (self._home / service / "output").read_text(errors="replace")
        return f"{service} {what}:\n{output[-3000:]}"


def _default(variable: re.Match[str]) -> str:
    if variable[2] == "?":
        message = f"{variable[1]} is not in deploy/local.env: {variable[3]}"
        raise ServiceFailedError(message)
    return variable[3]


def _env_file(path: Path) -> Mapping[str, str]:
    return dict(re.findall(r"(?m)^(\w+)=(.*)$", path.read_text()))


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:  # noqa: S310  # loopback, built above
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
