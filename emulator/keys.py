"""Single keys from a terminal, or characters from a pipe, as an asynchronous stream that ends with the input."""

import asyncio
import os
import sys
import termios
import tty
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

QUEUE_BOUND = 256


@contextmanager
def _single_keys(descriptor: int) -> Iterator[None]:
    """Let a terminal give keys without Enter, and put it back afterwards."""
    if not os.isatty(descriptor):
        yield
        return
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


async def stdin_keys(descriptor: int | None = None) -> AsyncIterator[str]:
    """Yield characters of standard input (or ``descriptor``) as they come, until its end."""
    source = sys.stdin.fileno() if descriptor is None else descriptor
    queue: asyncio.Queue[bytes] = asyncio.Queue(QUEUE_BOUND)
    loop = asyncio.get_running_loop()

    def read() -> None:
        data = os.read(source, 64)
        if not data or queue.full():
            loop.remove_reader(source)  # the end, or a flood that nobody could mean as keys
        if not queue.full():
            queue.put_nowait(data)

    with _single_keys(source):
        try:
            loop.add_reader(source, read)
        except (PermissionError, OSError):  # a plain file or /dev/null: epoll refuses it, and reading cannot block
            for character in os.read(source, 4096).decode(errors="ignore"):
                yield character
            return
        try:
            while data := await queue.get():
                for character in data.decode(errors="ignore"):
                    yield character
        finally:
            loop.remove_reader(source)
