"""What the rooms share: the log, settings, the clock, logging and metrics. `cordboard.app` wires and runs them."""

__version__ = "0.1.0"
