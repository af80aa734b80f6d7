"""`cordboard ingress` as a process with no Kafka anywhere: it is there for Twilio, and says what is wrong."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest
from twilio.request_validator import RequestValidator

from free_ports import free_ports
from signing_twilio import ACCOUNT, PUBLIC_URL, STATUS, TOKEN

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

PATIENCE_S = 60.0
TARGET = "/v1/voice/status"


class Alone:
    """An ingress in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ingress, self.ops, nobody = free_ports(3)
        self.env = {
            **os.environ,
            "CORDBOARD_LOG": f"kafka:127.0.0.1:{nobody}",
            "CORDBOARD_PUBLIC_URL": PUBLIC_URL,
            "CORDBOARD_TWILIO_ACCOUNT_SID": ACCOUNT,
            "CORDBOARD_TWILIO_AUTH_TOKEN": TOKEN,
            "CORDBOARD_INGRESS_BIND": f"127.0.0.1:{self.ingress}",
            "CORDBOARD_OPS_BIND": f"127.0.0.1:{self.ops}",
        }
        self.command = [sys.executable, "-m", "cordboard.app.cli", "ingress"]

    @contextmanager
    def running(self, **more: str) -> Iterator[None]:
        """From when its ops port answers."""
        with (self.folder / "told").open("w") as told:
            process = subprocess.Popen(
                self.command, cwd=self.folder, env={**self.env, **more}, stdout=told, stderr=told
            )  # fmt: skip
        try:
            end = time.monotonic() + PATIENCE_S
            while self.get("/healthz")[0] != 200:
                assert process.poll() is None, (self.folder / "told").read_text()
                assert time.monotonic() < end
                time.sleep(0.05)
            yield
        finally:
            process.kill()
            process.wait()

    def get(self, path: str) -> tuple[int, bytes]:
        """What a path of the ops port answers; 0 for nothing."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ops}{path}", timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except OSError:
            return 0, b""

    def tell(self) -> int:
        """A signed callback; its status."""
        signature = RequestValidator(TOKEN).compute_signature(PUBLIC_URL + TARGET, STATUS)
        headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
        url = f"http://127.0.0.1:{self.ingress}{TARGET}"
        request = urllib.request.Request(url, urlencode(STATUS).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 ours
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code


def test_it_takes_callbacks_and_is_ready_without_a_log(tmp_path: Path) -> None:
    """204, ready, and a note of what waits; a second process on the same spool is refused and told what to do."""
    alone = Alone(tmp_path)
    with alone.running():
        assert alone.tell() == 204
        status, body = alone.get("/readyz")
        assert (status, json.loads(body)["ready"]) == (200, True)
        assert "1 records wait for the log" in json.loads(body)["notes"]["spool"]
        second = subprocess.run(
            alone.command, cwd=tmp_path, env=alone.env, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    assert second.returncode == 1
    assert "spool .cordboard/spool.db is in use by process" in second.stderr
    assert "CORDBOARD_SPOOL" in second.stderr
    assert "Traceback" not in second.stderr


def test_without_a_spool_it_is_not_ready_without_a_log(tmp_path: Path) -> None:
    """`off` leaves no file, puts Twilio off, and says that the log is away."""
    alone = Alone(tmp_path)
    with alone.running(CORDBOARD_SPOOL="off"):
        assert alone.tell() == 503
        status, body = alone.get("/readyz")
        assert status == 503
        assert "log" in json.loads(body)["reasons"]
    assert not (tmp_path / ".cordboard").exists()
