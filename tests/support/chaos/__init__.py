"""Chaos on the real thing: real Kafka, services as processes, the local Twilio under load, and things going wrong.

`make chaos` runs it; what it is and how to read a failure stands in `docs/chaos.md`. The plan comes from a seed, the
checker is the simulation's (`tests/support/checker`). `running.py` is the run from its first to its last minute.
"""
