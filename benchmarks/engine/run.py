"""Records a second and core of the engine, on real Kafka and in memory, with compiled tables and with `transitions`.

    PYTHONPATH=tests/support python -m benchmarks.engine.run [--log kafka memory] [--calls 3000] [--rounds 3]

The engine on core 0, broker on core 1, the inbox filled before. A record counts when its state record is durable and
what it caused is published. The figures of a machine mean little, ratios within one run more: the rounds are
interleaved and the medians shown. `records/s` is records by CPU second, user and system, by getrusage.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from benchmarks.engine.process import Measured

ROOT = Path(__file__).parents[2]
VARIANTS = ("compiled", "transitions")
_AT_ONCE = 1000


class Run(msgspec.Struct, frozen=True):
    """One run on one log."""

    log: str
    measured: Measured


def measure(kind: str, spec: str, variant: str, prefix: str, calls: int) -> Run:
    """One run in a fresh process with topics of its own."""
    command = [sys.executable, "-m", "benchmarks.engine.process", variant, spec, prefix, str(calls), str(_AT_ONCE)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return Run(kind, msgspec.json.decode(done.stdout.splitlines()[-1], type=Measured))


@contextmanager
def log_spec(kind: str) -> Iterator[str]:
    """A log for the time of the context."""
    if kind == "memory":
        yield "memory:"
        return
    from kafka_broker import KafkaBroker  # noqa: PLC0415 - needs Java, which memory does not

    with tempfile.TemporaryDirectory() as folder, KafkaBroker(Path(folder)) as broker:
        yield f"kafka:{broker.bootstrap}"


def report(runs: list[Run], kinds: list[str]) -> None:
    """A table of medians."""
    print("| log | variant | records/s a core | CPU us a record | ratio to transitions | actions, events a record |")
    print("|---|---|---|---|---|---|")
    for kind in kinds:
        cost = {
            v: statistics.median(_us(r) for r in runs if (r.log, r.measured.variant) == (kind, v)) for v in VARIANTS
        }
        for variant in VARIANTS:
            one = next(r.measured for r in runs if (r.log, r.measured.variant) == (kind, variant))
            print(
                f"| {kind} | {variant} | {1e6 / cost[variant]:,.0f} | {cost[variant]:.1f} "
                f"| {cost['transitions'] / cost[variant]:.2f} "
                f"| {one.actions / one.records:.2f}, {one.events / one.records:.2f} |"
            )


def _us(run: Run) -> float:
    return run.measured.cpu_s / run.measured.records * 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", nargs="+", choices=["kafka", "memory"], default=["kafka", "memory"])
    parser.add_argument("--calls", type=int, default=3000, help="24 records each")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write every run there too")
    options = parser.parse_args()
    os.sched_setaffinity(0, {1})
    runs: list[Run] = []
    for kind in options.log:
        with log_spec(kind) as spec:
            for number in range(options.rounds):
                runs += [measure(kind, spec, v, f"{v}-{number}.", options.calls) for v in VARIANTS]
    report(runs, options.log)
    if options.json is not None:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(runs)))


if __name__ == "__main__":
    main()
