"""Finding the shortest story of a failure: leave out faults, calls, commands, nodes, as long as it still fails.

Delta debugging over the plan. "Still fails" means that one of the same invariants objects; what is left out changes
the timing of the rest, so the shortest story may be another way to the same end.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from msgspec.structs import replace

from simulation.judging import Violation, judge
from simulation.plan import CallPlan, Plan
from simulation.running import carry_out

T = TypeVar("T")
Judge = Callable[[Plan], Sequence[Violation]]

MOST_RUNS = 250


def judged(plan: Plan) -> Sequence[Violation]:
    """Carry a plan out and judge it."""
    return judge(carry_out(plan))


def shrink(plan: Plan, found: Sequence[Violation], judge_plan: Judge = judged, most_runs: int = MOST_RUNS) -> Plan:
    """The smallest plan that could be found, within so many runs, with one of the same violations."""
    wanted = {violation.invariant for violation in found}
    runs = 0
    shrunk = True
    while shrunk:
        shrunk = False
        for smaller in _smaller(plan):
            if runs >= most_runs:
                return plan
            runs += 1
            if wanted & {violation.invariant for violation in judge_plan(smaller)}:
                plan, shrunk = smaller, True
                break
    return plan


def _smaller(plan: Plan) -> Iterator[Plan]:
    """Plans with something left out, the boldest first."""
    for faults in _without(plan.faults):
        yield replace(plan, faults=faults)
    for calls in _without(plan.calls):
        if calls:
            yield replace(plan, calls=calls)
    for number, call in enumerate(plan.calls):
        for simpler in _simpler(call):
            yield replace(plan, calls=(*plan.calls[:number], simpler, *plan.calls[number + 1 :]))
    yield from _earlier(plan)
    if plan.nodes > 1:
        yield replace(plan, nodes=plan.nodes - 1)
    if plan.partitions > 1:
        yield replace(plan, partitions=1)
    if plan.split:
        yield replace(plan, split=False)
    if plan.policy:
        yield replace(plan, policy={})
        keys = tuple(plan.policy.items())
        yield from (replace(plan, policy=dict(fewer)) for fewer in _without(keys))


def _earlier(plan: Plan) -> Iterator[Plan]:
    """With a call left out, a fault may strike the same thing at a lower number."""
    for number, fault in enumerate(plan.faults):
        for nth in sorted({fault.nth // 2, fault.nth - 1} - {0, -1}):
            yield replace(plan, faults=(*plan.faults[:number], replace(fault, nth=nth), *plan.faults[number + 1 :]))


def _simpler(call: CallPlan) -> Iterator[CallPlan]:
    for commands in _without(call.commands):
        yield replace(call, commands=commands)
    if any(said.times > 1 for said in call.commands):
        yield replace(call, commands=tuple(replace(said, times=1) for said in call.commands))
    if call.talks_s:
        yield replace(call, talks_s=0.0)


def _without(items: tuple[T, ...]) -> Iterator[tuple[T, ...]]:
    """Halves first, then all but one."""
    half = len(items) // 2
    if half > 1:
        yield items[:half]
        yield items[half:]
    for position in range(len(items)):
        yield (*items[:position], *items[position + 1 :])
