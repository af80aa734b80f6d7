"""A failure told so that somebody can follow it: what is wrong, the plan that is left, and what happened."""

from collections.abc import Sequence

from simulation.judging import Violation
from simulation.plan import Fault, Plan, Where
from simulation.running import Run

_MOST_LINES = 120


def story(plan: Plan, violations: Sequence[Violation], run: Run | None = None) -> str:
    """The story of a failing plan; with its run, line by line."""
    kind = "engine, workers and edge apart" if plan.split else "everything in one process"
    lines = [
        f"seed {plan.seed}: {plan.nodes} x {kind}, {plan.partitions} partitions, policy {plan.policy or 'default'}"
    ]
    lines += [f"  WRONG {violation.invariant}: {violation.what}" for violation in violations]
    for call in plan.calls:
        ends = f", hangs up after {call.talks_s:g} s" if call.talks_s else ""
        lines.append(f"  call {call.number} begins at {call.at_s:g} s: {call.begins.value}{ends}")
        lines += [f"    +{said.after_s:g} s {said.name} {said.data or ''} x{said.times}" for said in call.commands]
    lines += [f"  fault: {_told(fault)}" for fault in plan.faults]
    if run is not None:
        told = run.world.lines
        lines += ["  what happened:", *(f"  {line}" for line in told[:_MOST_LINES])]
        if len(told) > _MOST_LINES:
            lines.append(f"  … and {len(told) - _MOST_LINES} lines more")
    lines.append(f"  again: make simulate SEEDS={plan.seed}")
    return "\n".join(lines)


def _told(fault: Fault) -> str:
    for_s = f" ({fault.seconds:g} s)" if fault.seconds else ""
    if fault.where is Where.AWAY:
        return f"at {fault.at_s:g} s the log is away{for_s}, partition {fault.node}"
    if fault.where is Where.NODE:
        return f"at {fault.at_s:g} s {fault.effect.value} node {fault.node}{for_s}"
    if fault.where is Where.ROOM:
        return f"at {fault.at_s:g} s the room of call {fault.node} ends"
    what = f"{fault.on} to {fault.topic}" if fault.where is Where.LOG else fault.where.value
    return f"{what} number {fault.nth}: {fault.effect.value}{for_s}"
