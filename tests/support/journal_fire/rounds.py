"""Rounds: start a process on the journal, let it die, check what it left. One journal lives through all of them."""

import asyncio
import multiprocessing
import random
import signal
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec

from journal_fire import points
from journal_fire.child import Acknowledged, live_and_die
from journal_fire.ledger import Ledger
from journal_fire.points import ANY_TIME, INSTRUCTION, NAMES, TORN_CHECKPOINT, TORN_WAL, Death

_LONGEST = 400
"""Acknowledgements after which a process that has not met its point is killed by us."""
_decode = msgspec.msgpack.Decoder(Acknowledged).decode
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["journal_fire.child"])


class Round(msgspec.Struct, frozen=True):
    """How a round ended: where it died (`met` says whether the point itself killed it), and what was wrong then."""

    number: int
    name: str
    met: bool
    acknowledged: int
    wrong: tuple[str, ...]


class Fire:
    """Rounds over one journal in `folder`; those that die while the file is made have a file each."""

    def __init__(self, folder: Path, seed: int = 0) -> None:
        self._folder = folder
        self._draw = random.Random(seed)  # noqa: S311 - no secret
        self._ledger = Ledger(folder / "journal.db")
        self.met: Counter[str] = Counter()
        self.acknowledged = 0

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
        wrong = asyncio.run(ledger.check(number))
        self.met[name] += met
        self.acknowledged += ledger.acknowledged - before
        return Round(number, name, met, ledger.acknowledged - before, tuple(wrong))

    def _death(self, name: str) -> Death:
        if name == TORN_WAL:
            return Death(name, size_limit=self._draw.randrange(10_000, 200_000))
        if name == TORN_CHECKPOINT:
            return Death(name, size_limit=_size(self._ledger.path) + self._draw.randrange(1, 100_000))
        if name == INSTRUCTION:
            return Death(name, nth=self._draw.randrange(1, 20_000))
        return Death(name, nth=self._draw.randint(1, 12 if name not in _RARE else 3))

    def _live(self, ledger: Ledger, number: int, death: Death) -> bool:
        """Let a process live and die; whether its point killed it."""
        ours, theirs = _processes.Pipe(duplex=False)
        process = _processes.Process(target=live_and_die, args=(ledger.path, number, death, theirs), daemon=True)
        process.start()
        theirs.close()
        patience = self._draw.randint(1, _LONGEST) if death.name == ANY_TIME else _LONGEST
        told = 0
        while (what := _next(ours)) is not None:
            ledger.note(number, what)
            told += 1
            if told == patience and process.pid is not None:
                process.kill()
        process.join()
        ours.close()
        code = process.exitcode
        if code not in {-signal.SIGKILL, -signal.SIGXFSZ}:
            raise AssertionError(f"round {number} ({death.name}): the process ended with {code}, not by a signal")
        return death.name == ANY_TIME or told < patience


_RARE = {point.name for point in points.POINTS if point.fresh or "claim" in point.name or "delet" in point.name}


def _next(pipe: Connection) -> Acknowledged | None:
    try:
        return _decode(pipe.recv_bytes())
    except (EOFError, OSError):
        return None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
