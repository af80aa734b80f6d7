"""Ports on loopback that stay free for a process that will come back to them.

The kernel's own choice (bind to port 0) lies in the range from which outgoing connections are served too, so a client
could take the port of a broker while that broker is down. These lie below that range.
"""

import random
import socket

__all__ = ["free_port", "free_ports"]

_LOWEST, _HIGHEST = 20_000, 32_000  # Linux takes outgoing ports from 32768 up


def free_port() -> int:
    """One such port."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Return `count` distinct loopback TCP ports that nobody listens on now."""
    candidates = random.sample(range(_LOWEST, _HIGHEST), _HIGHEST - _LOWEST)
    free = (port for port in candidates if _is_free(port))
    return [next(free) for _ in range(count)]


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
