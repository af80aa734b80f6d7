"""Ports on loopback that stay free for a process that will come back to them.

The kernel's own choice (bind to port 0) lies in the range from which outgoing connections are served too, so a client
could take the port of a broker while that broker is down. These lie below that range.
"""

import itertools
import os
import random
import socket

__all__ = ["free_port", "free_ports"]

_LOWEST, _HIGHEST = 20_000, 32_000  # Linux takes outgoing ports from 32768 up
_SHARE = 4
"""Test processes side by side (`gw0`, `gw1`, …) take different ports: one that is free is not taken at once."""


def free_port() -> int:
    """One such port, not one that was given before: whoever has that may not listen on it yet."""
    return next(port for port in _mine if _is_free(port))


def free_ports(count: int) -> list[int]:
    """Return `count` distinct loopback TCP ports that nobody listens on now."""
    return [free_port() for _ in range(count)]


def _shuffled_share() -> list[int]:
    share = range(_LOWEST + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % _SHARE, _HIGHEST, _SHARE)
    return random.sample(share, len(share))


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


_mine = itertools.cycle(_shuffled_share())  # some thousands: by the time one comes again, its first owner is gone
