"""Steps a second and core of every flow's machines, beside those of the main job in the same run.

    PYTHONPATH=tests/support python -m benchmarks.flows.run [--steps 20000] [--rounds 5]

Each flow's records go through the real core, one call after the other, each step's state encoded as its state record
is. Rounds are interleaved; of each flow the best round counts (CPU time, so that a busy machine matters little). The
figure to look at is the ratio: a flow whose step costs much more than the main job's has a machine that grew.
"""

import argparse
import time

import msgspec

from benchmarks.flows.stories import FLOWS, MAIN
from engine.core.step import Switchboard
from schemas.codec import encode
from schemas.records import Inbox
from schemas.state import Call


class Flow(msgspec.Struct, frozen=True):
    """A flow to be measured."""

    name: str
    board: Switchboard
    records: list[Inbox]


def flows() -> list[Flow]:
    """All of them, recorded once."""
    stories = {name: tell() for name, tell in FLOWS.items()}
    return [Flow(name, story.board, story.records) for name, story in stories.items()]


def best_us(flow: Flow, steps: int) -> float:
    """CPU microseconds a step, over about `steps` steps."""
    calls = max(1, steps // len(flow.records))
    began = time.process_time()
    for _ in range(calls):
        call: Call | None = None
        for record in flow.records:
            call = flow.board.step(call, record).call
            encode(call)
    return (time.process_time() - began) / (calls * len(flow.records)) * 1e6


def measure(measured: list[Flow], steps: int, rounds: int) -> dict[str, float]:
    """The best round of each flow, in microseconds a step."""
    times: dict[str, list[float]] = {flow.name: [] for flow in measured}
    for _ in range(rounds):
        for flow in measured:
            times[flow.name].append(best_us(flow, steps))
    return {name: min(found) for name, found in times.items()}


def report(measured: list[Flow], cost: dict[str, float]) -> None:
    """A table."""
    print("| flow | records a call | steps/s a core | CPU us a step | cost beside the main job |")
    print("|---|---|---|---|---|")
    for flow in measured:
        us = cost[flow.name]
        print(f"| {flow.name} | {len(flow.records)} | {1e6 / us:,.0f} | {us:.1f} | {us / cost[MAIN]:.2f} |")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20_000, help="steps of each flow in a round, about")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    measured = flows()
    report(measured, measure(measured, options.steps, options.rounds))


if __name__ == "__main__":
    main()
