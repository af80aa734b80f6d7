"""Webhooks a second and CPU a webhook: the ingress against an empty aiohttp handler and against the usual one.

    python -m benchmarks.ingress.run [--log sqlite|kafka|memory] [--connections 32 128 512]
        [--seconds 4] [--rounds 3] [--loop uvloop|asyncio]

Server on core 0, load (and broker) on core 1. The figures of a machine mean little, ratios within one run more: the
rounds are interleaved and the medians shown. CPU is the server process's own, user and system, by getrusage, the
journal's thread included. A webhook counts when it was answered 204, which for all but `bare` means: durable.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import uvloop

from benchmarks.ingress.load import load
from benchmarks.ingress.webhook_requests import requests

ROOT = Path(__file__).parents[2]
VARIANTS = ("bare", "cordboard", "usual")
_WARM_UP = 2000
_PER_SECOND = 6000


class Run(msgspec.Struct, frozen=True):
    """One variant under one load: webhooks a second, CPU microseconds a webhook, latency milliseconds, answers 503."""

    variant: str
    connections: int
    per_second: float
    cpu_us: float
    p50_ms: float
    p99_ms: float
    put_off: float


class Server:
    """A server process and its counters."""

    def __init__(self, variant: str, log: str, loop: str) -> None:
        command = [sys.executable, "-m", "benchmarks.ingress.server", variant, log, loop]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the server has ended; its reason stands above"
        return line

    def cpu_s(self) -> float:
        """CPU seconds used so far."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._line())

    def stop(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(20) == 0


def measure(server: Server, variant: str, connections: int, count: int) -> Run:
    """One run of a fresh server."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(load(server.port, list(requests(_WARM_UP, begin=0)), connections))
            made = list(requests(count, begin=_WARM_UP))
            before = server.cpu_s()
            seen = runner.run(load(server.port, made, connections))
            used = server.cpu_s() - before
    finally:
        server.stop()
    assert len(seen.latencies_s) == count
    ranks = statistics.quantiles(seen.latencies_s, n=100)
    return Run(
        variant, connections, count / seen.wall_s, used / count * 1e6, ranks[49] * 1e3, ranks[98] * 1e3, seen.put_off
    )


@contextmanager
def log_spec(kind: str, folder: Path) -> Iterator[str]:
    """A log to write to, for the time of the context."""
    if kind == "memory":
        yield "memory:"
        return
    if kind == "sqlite":
        yield f"sqlite:{folder / 'journal.db'}"
        return
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    from kafka_broker import KafkaBroker  # noqa: PLC0415 - needs Java, which the journal does not

    with KafkaBroker(folder) as broker:
        yield f"kafka:{broker.bootstrap}"


def medians(runs: list[Run], variant: str, connections: int) -> Run:
    """The median of each figure over the rounds."""
    chosen = [run for run in runs if (run.variant, run.connections) == (variant, connections)]
    names = ("per_second", "cpu_us", "p50_ms", "p99_ms", "put_off")
    figures = [statistics.median(getattr(run, name) for run in chosen) for name in names]
    return Run(variant, connections, *figures)


def report(runs: list[Run], connections: list[int]) -> None:
    """A table of medians; the ratio is `bare`'s CPU by the variant's."""
    print("| variant | connections | webhooks/s | CPU us | ratio to bare | p50 ms | p99 ms | 503s |")
    print("|---|---|---|---|---|---|---|---|")
    for count in connections:
        floor = medians(runs, "bare", count).cpu_us
        for variant in VARIANTS:
            run = medians(runs, variant, count)
            print(
                f"| {variant} | {count} | {run.per_second:,.0f} | {run.cpu_us:.0f} | {floor / run.cpu_us:.2f} "
                f"| {run.p50_ms:.1f} | {run.p99_ms:.1f} | {run.put_off:.0f} |"
            )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", choices=["sqlite", "kafka", "memory"], default="sqlite")
    parser.add_argument("--connections", type=int, nargs="+", default=[32, 128, 512])
    parser.add_argument("--seconds", type=float, default=4.0, help="about how long a run takes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--loop", choices=["uvloop", "asyncio"], default="uvloop", help="of the servers")
    parser.add_argument("--json", type=Path, help="write every run there too")
    options = parser.parse_args()
    os.sched_setaffinity(0, {1})
    runs: list[Run] = []
    with tempfile.TemporaryDirectory() as folder, log_spec(options.log, Path(folder)) as log:
        for _ in range(options.rounds):
            for connections in options.connections:
                for variant in VARIANTS:
                    server = Server(variant, log, options.loop)
                    runs.append(measure(server, variant, connections, int(options.seconds * _PER_SECOND)))
    report(runs, options.connections)
    if options.json:
        options.json.write_bytes(msgspec.json.encode(runs))


if __name__ == "__main__":
    main()
