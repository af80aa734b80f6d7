"""The seeded simulation of the whole system: real engine, workers, router and ingress in a simulated world.

Clock, log, network, processes, Twilio and people are ours and come from a seed; a seed gives the same run every time.
What it proves and how to read a failure stands in `docs/simulation.md`; the tests are in `tests/simulation`.
"""
