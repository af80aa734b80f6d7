"""What every test gets: a clean environment, limits by folder, an order of running, a real Kafka where there is one.

Helpers that tests and benchmarks share lie in `tests/support` and are imported by their plain names.
"""

import logging
import os
import re
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings

from cordboard.logs import configure_logs
from kafka_broker import KafkaBroker
from kafka_jars import KafkaUnavailableError, fetch_jars

_TESTS = Path(__file__).parent
_IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}
# Fast and broad ones first: what is broken at the bottom is reported before anything slow begins.
_ORDER = (
    "unit",
    "emulator",
    "contract",
    "fuzzing",
    "replay",
    "repo",
    "readme",
    "simulation",
    "integration",
    "kafka_broker",
    "chaos",
)
_LIMITS_S = {"unit": 20.0, "contract": 60.0, "replay": 60.0}
_FETCH_AND_START_S = 600.0

settings.register_profile("cordboard", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("cordboard")


def pytest_configure() -> None:
    """Remove our own settings from the environment: a test sees what it sets itself. Log as a service does."""
    for name in [name for name in os.environ if name.startswith("CORDBOARD_")]:
        del os.environ[name]
    structlog.configure = partial(_configure_uncached, structlog.configure)  # commands that run inside of tests use it
    configure_logs(json=True)


def _configure_uncached(configure: Callable[..., None], **given: Any) -> None:
    """Tests look at logs, each in its own way: a logger that has been used once must not keep how it was set up."""
    configure(**given | {"cache_logger_on_first_use": False})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order files from fast to slow, and give each folder its limit against hanging.

    A file stays together: processes that share the work take whole files.
    """
    ranks: dict[Path, tuple[bool, bool, int]] = {}
    for item in items:
        ranks[item.path] = max(_rank(item), ranks.get(item.path, (False, False, 0)))
    items.sort(key=lambda item: ranks[item.path])
    for item in items:
        limit_s = _LIMITS_S.get(_folder(item))
        if _needs_kafka(item):
            limit_s = _FETCH_AND_START_S  # the first one pays for fetching and starting
        if limit_s and item.get_closest_marker("timeout") is None and item.get_closest_marker("slow") is None:
            item.add_marker(pytest.mark.timeout(limit_s))


@pytest.fixture(autouse=True)
def logging_restored() -> Iterator[None]:
    """Leave logging as it was: a command that runs inside of a test sets it up for its whole process."""
    root = logging.getLogger()
    handlers, level, ours = list(root.handlers), root.level, structlog.get_config()
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.configure(**ours)


@pytest.fixture(scope="session")
def kafka_jars() -> Path:
    """Make sure that a real broker can be started; skip where it cannot, fail in CI."""
    try:
        return fetch_jars()
    except KafkaUnavailableError as missing:
        if _IN_CI:
            pytest.fail(f"CI must run the Kafka tests: {missing}", pytrace=False)
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def kafka(kafka_jars: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """One real broker for the whole run. Whoever stops or kills brokers starts one of their own."""
    assert kafka_jars.is_dir()
    with KafkaBroker(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture
def topic_prefix(request: pytest.FixtureRequest) -> str:
    """Give each test topic names of its own on the shared broker, ending in a dot."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", request.node.name)[:80]
    return f"{name}-{uuid.uuid4().hex[:8]}."


def _rank(item: pytest.Item) -> tuple[bool, bool, int]:
    folder = _folder(item)
    place = _ORDER.index(folder) if folder in _ORDER else len(_ORDER)
    return _needs_kafka(item), item.get_closest_marker("slow") is not None, place


def _needs_kafka(item: pytest.Item) -> bool:
    return item.get_closest_marker("kafka") is not None


def _folder(item: pytest.Item) -> str:
    return item.path.relative_to(_TESTS).parts[0] if item.path.is_relative_to(_TESTS) else ""
