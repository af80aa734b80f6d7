"""Fetches the jars of a Kafka broker with Maven, once per machine and version.

Not here: starting the broker (`kafka_broker`). Nothing of this is shipped; tests, benchmarks and chaos runs use it.
"""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["KAFKA_VERSION", "KafkaUnavailableError", "fetch_jars", "missing_programs"]

KAFKA_VERSION = os.environ.get("KAFKA_VERSION", "4.3.1")
"""Broker version to test against; 3.9.1 is the oldest that we support (reliability.md 1.3)."""

_POM = Path(__file__).parent / "pom.xml"
_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_FETCH_TIMEOUT_S = 600.0


class KafkaUnavailableError(RuntimeError):
    """A real broker cannot be had on this machine; the message says what is missing."""


def missing_programs() -> list[str]:
    """Name the programs that a broker needs and that are not on the PATH."""
    return [program for program in ("java", "mvn") if shutil.which(program) is None]


def fetch_jars(version: str = KAFKA_VERSION) -> Path:
    """Return the folder that holds the jars of this Kafka version, fetched by the first process that asks.

    Raises `KafkaUnavailableError` if Java or Maven is missing, or Maven could not fetch.
    """
    if missing := missing_programs():
        message = f"a real Kafka broker needs {' and '.join(missing)} on the PATH (Java 17, Maven 3)"
        raise KafkaUnavailableError(message)
    home = _cache_dir() / f"kafka-{version}"
    home.mkdir(parents=True, exist_ok=True)
    jars = home / "lib"
    with _only_one(home / "lock"):
        if not jars.is_dir():
            _fetch(version, jars)
    return jars


def _fetch(version: str, jars: Path) -> None:
    # Copied beside and renamed at the end: a fetch that was cut short leaves nothing that looks complete.
    partial = jars.with_name("lib.partial")
    shutil.rmtree(partial, ignore_errors=True)
    command = ["mvn", "--quiet", "--batch-mode", f"--file={_POM}", _GOAL]
    options = [f"-Dkafka.version={version}", "-DincludeScope=runtime", f"-DoutputDirectory={partial}"]
    try:
        done = subprocess.run(
            [*command, *options], capture_output=True, text=True, timeout=_FETCH_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as expired:
        message = f"Maven did not fetch Kafka {version} within {_FETCH_TIMEOUT_S:.0f} s"
        raise KafkaUnavailableError(message) from expired
    if done.returncode != 0 or not any(partial.glob("kafka_2.13-*.jar")):
        message = f"Maven could not fetch Kafka {version} (exit {done.returncode}):\n{done.stdout}{done.stderr}"
        raise KafkaUnavailableError(message)
    partial.rename(jars)


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _cache_dir() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cordboard"
