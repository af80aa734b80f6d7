"""A test run that dies leaves no broker behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from checkout import ROOT

pytestmark = [pytest.mark.kafka, pytest.mark.usefixtures("kafka_jars")]

_DEADLINE_S = 30.0
_START_AND_WAIT = """
import sys, pathlib
from kafka_broker import KafkaBroker
broker = KafkaBroker(pathlib.Path(sys.argv[1]))
broker.launch()
print(broker.pid, flush=True)
sys.stdin.read()
"""


def test_a_killed_run_takes_its_broker_along(tmp_path: Path) -> None:
    """When the process that started a broker is killed with -9, the broker dies too."""
    with subprocess.Popen(
        [sys.executable, "-c", _START_AND_WAIT, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests" / "support")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as run:
        assert run.stdout is not None
        broker = psutil.Process(int(run.stdout.readline()))
        assert broker.is_running()

        run.send_signal(signal.SIGKILL)

        assert _is_gone(broker)


def _is_gone(process: psutil.Process) -> bool:
    deadline = time.monotonic() + _DEADLINE_S
    while time.monotonic() < deadline:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False
