"""`cordboard` as a process: what it prints, how it leaves, how it refuses to start."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from free_ports import free_ports
from readme import call_id_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

COMMAND = str(Path(sys.executable).with_name("cordboard"))
PATIENCE_S = 30.0


class Process:
    """`cordboard run --local-twilio` on free ports, in a folder of its own."""

    def __init__(self, folder: Path, **settings: str) -> None:
        ingress, ops, emulator = free_ports(3)
        self.folder = folder
        self.ops = f"http://127.0.0.1:{ops}"
        self.emulator_bind = f"127.0.0.1:{emulator}"
        clean = {name: value for name, value in os.environ.items() if not name.startswith("CORDBOARD_")}
        own = {"CORDBOARD_INGRESS_BIND": f"127.0.0.1:{ingress}", "CORDBOARD_OPS_BIND": f"127.0.0.1:{ops}"}
        self.env = {**clean, **own, **settings}
        self.process: subprocess.Popen[str] | None = None

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Any command of ours to its end, with these settings."""
        return self.type(COMMAND, *arguments)

    def type(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A whole line as it is typed."""
        return subprocess.run(
            words, env=self.env, cwd=self.folder, text=True, capture_output=True, timeout=PATIENCE_S, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    @contextmanager
    def start(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """A whole line that goes on, at the longest for as long as the context lasts."""
        with subprocess.Popen(
            words, env=self.env, cwd=self.folder, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            try:
                yield process
            finally:
                process.kill()

    @contextmanager
    def running(self) -> Iterator[str]:
        """Start it and wait until it is ready; gives what it printed."""
        with (self.folder / "out").open("w") as out, (self.folder / "err").open("w") as err:
            self.process = subprocess.Popen(
                [COMMAND, "run", "--local-twilio", "--emulator-bind", self.emulator_bind],
                env=self.env, cwd=self.folder, stdout=out, stderr=err, text=True,
            )  # fmt: skip
            try:
                self._wait_until_ready()
                yield (self.folder / "out").read_text()
            finally:
                self.process.kill()
                self.process.wait()

    def signal(self, number: int) -> tuple[int, float]:
        """Send a signal; gives the exit code and how long it took, seconds."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S), time.monotonic() - began

    def call(self) -> str:
        """Somebody calls and stays; gives the call's id."""
        body = json.dumps({"from": "+15550111", "to": "+15550100"}).encode()
        url = f"http://{self.emulator_bind}/_emulator/calls"
        with urllib.request.urlopen(urllib.request.Request(url, body, method="POST"), timeout=10) as answer:
            call_id: str = json.load(answer)["call_sid"]
        return call_id

    def until(self, call_id: str, state: str) -> None:
        """Wait for a call to be in a state."""
        end = time.monotonic() + PATIENCE_S
        while json.loads(self.run("call", call_id, "--json").stdout.partition("\n")[0] or "{}").get("state") != state:
            assert time.monotonic() < end, f"{call_id} is not {state}"

    def _wait_until_ready(self) -> None:
        assert self.process is not None
        end = time.monotonic() + PATIENCE_S
        while True:
            assert self.process.poll() is None, (self.folder / "err").read_text()
            assert time.monotonic() < end, (self.folder / "err").read_text()
            try:
                with urllib.request.urlopen(f"{self.ops}/readyz", timeout=5):  # noqa: S310 our own
                    if (self.folder / "out").read_text().endswith("\n"):
                        return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.05)


def test_the_lines_that_run_prints_can_be_typed(tmp_path: Path) -> None:
    """Every line to try works as it stands, in the order given, with ID being what the first one prints."""
    house = Process(tmp_path)
    with house.running() as printed:
        typed = [line.strip() for line in printed.partition("Try this")[2].splitlines() if "cordboard " in line]
        assert "emulator call" in typed[0]
        assert len(typed) >= 6
        with house.start(*shlex.split(typed[0])) as caller:
            assert caller.stdout is not None
            call_id = call_id_in(caller.stdout.readline())
            house.until(call_id, "waiting")
            for line in (line for line in typed[1:] if "--follow" not in line):
                done = house.type(*shlex.split(line.replace("ID", call_id)))
                assert done.returncode == 0, f"{line}: {done.stderr}"
            assert caller.wait(PATIENCE_S) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_exits_0_within_10_s(tmp_path: Path, number: int) -> None:
    """With a live call and an open event stream the process still leaves in order and in time."""
    house = Process(tmp_path)
    with house.running():
        house.until(house.call(), "waiting")
        with house.start(COMMAND, "events", "--follow") as follower:
            code, took_s = house.signal(number)
            _, told = follower.communicate(timeout=PATIENCE_S)

    assert (code, took_s < 10) == (0, True)
    assert follower.returncode in {0, 1}
    assert "Traceback" not in told + (tmp_path / "err").read_text()


def test_a_call_outlives_the_process(tmp_path: Path) -> None:
    """After `kill -9` and a new start the call is there as it was."""
    house = Process(tmp_path)
    with house.running():
        call_id = house.call()
        house.until(call_id, "waiting")
        assert house.signal(signal.SIGKILL)[0] == -signal.SIGKILL
    with house.running():
        story = house.run("call", call_id, "--json").stdout.splitlines()

    assert json.loads(story[0])["call_id"] == call_id
    assert json.loads(story[1])["type"] == "cordboard.event.call.created.v1"


def test_two_processes_on_one_journal_are_refused(tmp_path: Path) -> None:
    """The second one is told who has the file, and nothing breaks for the first."""
    house = Process(tmp_path)
    with house.running():
        second = Process(tmp_path)
        refused = second.run("run", "--local-twilio", "--emulator-bind", second.emulator_bind)
        assert house.run("calls").returncode == 0

    assert refused.returncode == 1
    assert refused.stderr.startswith("Error: ")
    assert "journal" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_taken_address_is_told(tmp_path: Path) -> None:
    """Which settings to change is said, and the exit code is 1."""
    house = Process(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(house.env["CORDBOARD_OPS_BIND"].rpartition(":")[2])))
        taken.listen()
        refused = house.run("run", "--local-twilio", "--emulator-bind", house.emulator_bind)

    assert refused.returncode == 1
    assert "CORDBOARD_OPS_BIND" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("arguments", [("run",), ("ingress",), ("engine",), ("actions",), ("observe",)])
def test_what_is_missing_is_told_in_one_message(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Without settings nothing but the local Twilio starts, and every lack is named."""
    refused = Process(tmp_path, CORDBOARD_PARTITONS="8").run(*arguments)

    assert (refused.returncode, refused.stdout) == (1, "")
    assert "CORDBOARD_PARTITONS is not a setting: expected CORDBOARD_PARTITIONS, perhaps" in refused.stderr
    assert ("CORDBOARD_PUBLIC_URL" in refused.stderr) is (arguments[0] in {"run", "ingress", "actions"})
    assert "Traceback" not in refused.stderr


def test_the_local_twilio_alone_leaves_on_sigterm(tmp_path: Path) -> None:
    """`cordboard emulator` says where it listens and to where its number leads, and stops when told."""
    house = Process(tmp_path)
    with house.start(COMMAND, "emulator", "--bind", house.emulator_bind) as process:
        assert process.stdout is not None
        told = process.stdout.readline()
        process.terminate()
        assert process.wait(PATIENCE_S) == 0

    assert house.emulator_bind in told
    assert house.env["CORDBOARD_INGRESS_BIND"] in told


def test_help_comes_without_the_services(tmp_path: Path) -> None:
    """The command line does not import what it does not need: help and version load neither log nor HTTP server."""
    script = (
        "import sys; from cordboard.app.cli import cli; cli(['--help'], standalone_mode=False); "
        "heavy = {'aiohttp', 'aiokafka', 'pydantic', 'twilio', 'transitions', 'rich'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], text=True, capture_output=True, cwd=tmp_path, check=True)

    assert done.stdout.splitlines()[-1] == "[]"
