"""`make chaos`: kill, stop, cut and roll real processes under load, and judge what is left.

    make chaos                                          one broker, 250,000 webhooks, 60 kills
    make chaos BROKERS=3 SEED=7                         three brokers, another plan
    make chaos WEBHOOKS=5000 KILLS=6 TAKEOVERS=0        a quarter of an hour less

Ends with 0 when every invariant held, 1 when one did not, 2 for wrong usage.
"""

import asyncio
import gc
import logging
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

import structlog
import uvloop
from rich.console import Console

from chaos.evidence import Evidence
from chaos.figures import Figures, count
from chaos.judging import judge
from chaos.options import Options, UsageError, read_options
from chaos.report import write
from chaos.running import ChaosRun, Done
from checker.judging import Violation

_TELL_EVERY_S = 10.0


def main(words: Sequence[str]) -> int:
    """Run as told."""
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    try:
        options = read_options(words)
    except UsageError as error:
        console.print(str(error))
        return 2
    folder = Path(tempfile.mkdtemp(prefix="cordboard-chaos-"))
    began = time.monotonic()

    def say(line: str) -> None:
        console.print(f"{time.monotonic() - began:7.1f} s  {line}")

    say(f"everything is written to {folder}")
    with (folder / "driver.log").open("w") as log:
        _log_to(log)
        done = carry_out(options, folder / "run", say)
        figures, violations = verdict(done, say)
        gc.collect()  # what the clients of dead brokers have left is told while there is a file for it
    if options.report:
        write(Path(options.report), done, figures, violations)
        say(f"written: {options.report}")
    _tell(figures, violations, say)
    if violations:
        say(f"kept for a look: {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


def carry_out(options: Options, folder: Path, say: Callable[[str], None]) -> Done:
    """A run from its first to its last process. Raises what keeps it from its end."""
    folder.mkdir(parents=True)

    async def live() -> Done:
        run = ChaosRun(options, folder, say)
        telling = asyncio.create_task(_tell_progress(run, say))
        own = asyncio.current_task()
        if own is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, own.cancel)
        try:
            return await run.run()
        finally:
            telling.cancel()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(live())


def _log_to(log: TextIO) -> None:
    """What the driver's own Kafka clients say belongs into a file: brokers are killed all the time."""
    logging.basicConfig(stream=log, level=logging.WARNING, force=True)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(log))


def verdict(done: Done, say: Callable[[str], None]) -> tuple[Figures, list[Violation]]:
    """What the checker says about a run, and its figures."""
    evidence = Evidence(done.facts)
    violations = judge(evidence, say)
    return count(evidence, (done.load_began, done.load_ended)), violations


async def _tell_progress(run: ChaosRun, say: Callable[[str], None]) -> None:
    while True:
        await asyncio.sleep(_TELL_EVERY_S)
        load = run.load
        if load is not None:
            say(
                f"{100 * run.progress():3.0f} %  {run.heard:,} of {run.options.webhooks:,} webhooks  "
                f"{load.begun:,} calls  {load.under_way} under way  {sum(run.blows.counts().values())} faults"
            )


def _tell(figures: Figures, violations: Sequence[Violation], say: Callable[[str], None]) -> None:
    for found in violations:
        say(f"WRONG {found.invariant}: {found.what}")
    say(
        f"{figures.acknowledged:,} webhooks acknowledged, {figures.lost} lost; {figures.created:,} calls created, "
        f"{figures.twice} twice; {len(violations)} violations"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
