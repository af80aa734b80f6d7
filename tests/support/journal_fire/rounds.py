"""Rounds: start a process on the journal, let it die, check what it left. One journal lives through all of them."""

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Self

import msgspec

from cordboard.errors import CordboardError
from cordboard.log.port import Entry
from cordboard.log.sqlite import SqliteLog
from journal_fire.bugs import before_opening
from journal_fire.child import PARTITIONS, Born, Died, Order, now_of, read_word, write_order
from journal_fire.ledger import Ledger
from journal_fire.points import ANY_TIME, INSTRUCTION, NAMES, POINTS, TORN_CHECKPOINT, TORN_WAL, Death
from schemas.topics import Topic

_ANY_TIME = 400
_LONGEST = 20_000
"""Acknowledgements after which a process that has not met its point is killed by us: it never will."""


_BIG_BYTES = 1_000_000


class Round(msgspec.Struct, frozen=True):
    """How a round ended: where it died (`met` says whether the point itself killed it), and what was wrong then."""

    number: int
    name: str
    met: bool
    acknowledged: int
    wrong: tuple[str, ...]


class Fire:
    """Rounds over one journal in `folder`; those that die while the file is made have a file each.

    `bug` is one of `bugs.BUGS`, planted in the processes that die.
    """

    def __init__(self, folder: Path, seed: int = 0, bug: str = "") -> None:
        self._folder = folder
        self._bug = bug
        self._draw = random.Random(seed)  # noqa: S311 - no secret
        self._ledger = Ledger(folder / "journal.db")
        self.met: Counter[str] = Counter()
        self.acknowledged = 0
        asyncio.run(_make_big(self._ledger.path))
        self._parent = Popen([sys.executable, "-m", "journal_fire.child"], stdin=PIPE, stdout=PIPE, env=_environment())
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._in, self._out = self._parent.stdin, self._parent.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._in.close()
        self._out.close()
        self._parent.wait()

    def rounds(self, count: int) -> Iterator[Round]:
        """So many rounds, every point in turn."""
        for number in range(count):
            yield self._round(number, NAMES[number % len(NAMES)])

    def _round(self, number: int, name: str) -> Round:
        death = self._death(name)
        fresh = death.point is not None and death.point.fresh
        ledger = Ledger(self._folder / f"fresh-{number}.db") if fresh else self._ledger
        before = ledger.acknowledged
        met = self._live(ledger, number, death)
        before_opening(self._bug, ledger.path)
        wrong = _checked(ledger, number)
        self.met[name] += met
        self.acknowledged += ledger.acknowledged - before
        return Round(number, name, met, ledger.acknowledged - before, tuple(wrong))

    def _death(self, name: str) -> Death:
        if name == TORN_WAL:
            return Death(name, size_limit=self._draw.randrange(10_000, 200_000))
        if name == TORN_CHECKPOINT:
            return Death(name, size_limit=self._draw.randrange(_BIG_BYTES // 2, _BIG_BYTES))
        if name == INSTRUCTION:
            return Death(name, nth=self._draw.randrange(1, 20_000))
        return Death(name, nth=self._draw.randint(1, _OFTEN.get(name, 12)))

    def _live(self, ledger: Ledger, number: int, death: Death) -> bool:
        """Let a process live and die; whether its point killed it."""
        write_order(self._in, Order(str(ledger.path), number, death, self._bug))
        patience = self._draw.randint(1, _ANY_TIME) if death.name == ANY_TIME else _LONGEST
        told = pid = 0
        while not isinstance(word := read_word(self._out), Died):
            if isinstance(word, Born):
                pid = word.pid
                continue
            ledger.note(number, word)
            told += 1
            if told == patience:
                os.kill(pid, signal.SIGKILL)
        if word.code not in {-signal.SIGKILL, -signal.SIGXFSZ}:
            raise AssertionError(f"round {number} ({death.name}): the process ended with {word.code}, not by a signal")
        return death.name == ANY_TIME or told < patience


_OFTEN = {
    point.name: 7 if "topics" in point.name else 1 if point.fresh or "delet" in point.name else 3
    for point in POINTS
    if point.fresh or "claim" in point.name or "delet" in point.name
}
"""How often a process comes to a point at least, where that is not a dozen times."""


def _checked(ledger: Ledger, number: int) -> list[str]:
    """What is wrong; a journal that does not open is."""
    try:
        return asyncio.run(ledger.check(number))
    except CordboardError as error:
        return [str(error)]


async def _make_big(path: Path) -> None:
    """Let the file be larger than its write-ahead log becomes, so that a limit between them stops checkpoints alone."""
    log = SqliteLog(path, PARTITIONS, clock=lambda: now_of(0))
    await log.publish(Topic.EVENTS, [Entry(0, b"ballast", bytes(10_000)) for _ in range(_BIG_BYTES // 10_000)])
    await log.aclose()


def _environment() -> dict[str, str]:
    """Ours, with everything that is imported here to be found there."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
