"""The log: one port (`port.py`), three adapters (`sqlite.py`, `kafka.py`, `memory.py`), one contract suite."""
