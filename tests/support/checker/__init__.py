"""What must be true of every run, whatever went wrong in it, said once for the simulation and for chaos on real Kafka.

`ledgers.py` says what a run must show; `log_rules.py` and `twilio_rules.py` are the invariants of reliability.md 5.3.
"""
