"""One run, the fast tests first, so that what is broken at the bottom is told early."""

import subprocess
import sys

from checkout import ROOT


def test_the_run_goes_from_fast_to_slow() -> None:
    """Unit tests open the run, the tests that need a real Kafka close it."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    tests = [line.split("/")[1] for line in done.stdout.splitlines() if "::" in line]

    assert done.returncode == 0, done.stdout
    assert tests[0] == "unit"
    assert tests.index("contract") < tests.index("repo") < tests.index("kafka_broker")
    assert tests[-1] in {"kafka_broker", "chaos"}
