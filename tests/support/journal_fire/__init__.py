"""The journal under fire: a real process writes it and is killed at a named place; what it was acknowledged is there.

`points.py` has the places, `child.py` the process that dies, `ledger.py` what must be found, `rounds.py` one round.
"""
