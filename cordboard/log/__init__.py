"""The log: one port (`port.py`), three adapters (`sqlite.py`, `kafka.py` and its parts, `memory.py`), one contract suite."""
