"""`make fire ROUNDS=…`: kill a process on the journal so many times, with a progress bar; 0 when nothing was lost."""

import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from journal_fire.points import NAMES
from journal_fire.rounds import Fire

_USAGE = 2


def main(arguments: Sequence[str]) -> int:
    """Run; 0 when every round is good, 1 when one is not, 2 for wrong usage."""
    console = Console(stderr=True)
    count, seed = [*arguments, "1000", "0"][:2] if len(arguments) != 1 else (arguments[0], "0")
    if not (count.isdigit() and seed.isdigit()):
        console.print(f"expected ROUNDS [SEED], two numbers; got {' '.join(arguments)}", markup=False)
        return _USAGE
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[bad]} bad"), TimeRemainingColumn())
    bad = 0
    with (
        TemporaryDirectory(prefix="fire") as folder,
        Fire(Path(folder), int(seed)) as fire,
        Progress(*columns, console=console) as progress,
    ):
        task = progress.add_task("rounds", total=int(count), bad=0)
        for one in fire.rounds(int(count)):
            bad += bool(one.wrong)
            progress.update(task, advance=1, bad=bad)
            for problem in one.wrong[:5]:
                console.print(f"round {one.number} ({one.name}): {problem}", markup=False)
    for name in NAMES:
        console.print(f"{fire.met[name]:>7}  {name}", markup=False, highlight=False)
    console.print(f"{count} kills, {fire.acknowledged} acknowledged writes, {bad} rounds with something wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
