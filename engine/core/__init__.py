"""The pure core: `step(call, record) -> Step(call, effects)`. No await, clock, randomness, logging or exception."""
