"""`cordboard replay`: what the code as it is now would have done differently to real histories."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cordboard.app.output import print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cordboard.app.replay.differences import CallReport
    from cordboard.app.replay.histories import History
    from cordboard.settings_checks import Loaded
    from engine.core.config import CoreConfig

_COLUMNS = ("at", "because of", "what", "then", "now")


@click.command(short_help="What this version would have done differently to real calls.")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--call", "calls", metavar="ID", multiple=True, help="Only this call; may be given several times.")
@click.option("--with-settings", is_flag=True, help="Let calls begin under today's settings and policy file.")
@click.option(
    "--export", type=click.Path(dir_okay=False, path_type=Path), help="Write the history into a file instead."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document a line: every call, then the summary.")
def replay(
    file: Path | None, calls: tuple[str, ...], export: Path | None, *, with_settings: bool, as_json: bool
) -> None:
    """Step recorded calls through the code as it is now, and show what comes out differently.

    Reads the inbox of the log and everything that came of it: states, actions, events, results, dead letters. FILE is
    a journal or a file made by --export; without one it is the log of CORDBOARD_LOG, journal or Kafka. Nothing is
    written to the log, no lock is taken, nobody is dialled: Cordboard may be running meanwhile.

    \b
    Before an upgrade, with the new version, on a copy or on the live journal:
      cordboard replay /var/lib/cordboard/journal.db
    One call, and why:
      cordboard replay --call CA…
    What a new policy file would have changed:
      CORDBOARD_POLICY_FILE=new.toml cordboard replay --with-settings
    Keep a call as a test, or send it to a colleague (it holds phone numbers):
      cordboard replay --call CA… --export odd-transfer.jsonl.gz
      cordboard replay odd-transfer.jsonl.gz

    A call begins under the policy that it had then, unless --with-settings is given. Records that the engine has not
    applied yet are left out; so are calls that began before what the log still holds, unless a state of theirs is left
    to begin with.

    \b
    Exit code 0: everything came out the same. 1: something differs, or could not be read. 2: wrong usage.
    """  # noqa: D301 the backspace is click's mark for lines that stay as they are
    import asyncio  # noqa: PLC0415 heavy

    from cordboard.settings_checks import load_settings  # noqa: PLC0415 heavy

    loaded = load_settings()
    if export is not None:
        click.echo(f"{asyncio.run(_export(loaded, file, export, calls))} records written to {export}")
        return
    config = _config(loaded) if with_settings else None
    with _quiet():
        reports = asyncio.run(_replay(loaded, file, calls, config))
    missing = sorted(set(calls) - {report.call_id for report in reports})
    _print(reports, as_json=as_json)
    for call in missing:
        click.echo(f"nothing is known of a call {call}", err=True)
    sys.exit(1 if missing or any(report.differences for report in reports) else 0)


def _print(reports: "list[CallReport]", *, as_json: bool) -> None:
    from cordboard.app.replay.telling import documents, ending, heading, rows, summed  # noqa: PLC0415 heavy

    summary = summed(reports)
    if as_json:
        print_json(documents(reports, summary))
        return
    for report in reports:
        if report.differences:
            click.echo(heading(report))
            print_table(_COLUMNS, rows(report), empty="")
            click.echo("")
    click.echo(ending(summary))


async def _replay(
    loaded: "Loaded", file: Path | None, calls: tuple[str, ...], config: "CoreConfig | None"
) -> "list[CallReport]":
    from cordboard.app.replay.replaying import replay as replayed  # noqa: PLC0415 heavy

    async with _opened(loaded, file) as history:
        with _progress() as progress:
            return [report async for report in replayed(history, calls, config, progress)]


async def _export(loaded: "Loaded", file: Path | None, to: Path, calls: tuple[str, ...]) -> int:
    from cordboard.app.replay.histories import export  # noqa: PLC0415 heavy

    async with _opened(loaded, file) as history:
        return await export(history, to, [call.encode() for call in calls], to.name.partition(".")[0])


def _opened(loaded: "Loaded", file: Path | None) -> "AbstractAsyncContextManager[History]":
    from cordboard.app.replay.histories import opened_file  # noqa: PLC0415 heavy

    kind, _, rest = loaded.settings.log.partition(":")
    if file is None and kind == "sqlite":
        file = Path(rest)
    return _opened_log(loaded) if file is None else opened_file(file)


@asynccontextmanager
async def _opened_log(loaded: "Loaded") -> "AsyncIterator[History]":
    from cordboard.app.logs_of_settings import open_log_of  # noqa: PLC0415 heavy
    from cordboard.app.replay.histories import OfLog  # noqa: PLC0415 heavy

    log = open_log_of(loaded.settings)
    try:
        yield OfLog(log)
    finally:
        await log.aclose()


def _config(loaded: "Loaded") -> "CoreConfig":
    from cordboard.app.core_of_settings import core_of  # noqa: PLC0415 heavy

    return core_of(loaded)


@contextmanager
def _quiet() -> "Iterator[None]":
    """What the engine logs of a step is no news here: what matters of it is in the differences."""
    import logging  # noqa: PLC0415 as every import here

    import structlog  # noqa: PLC0415 heavy

    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


@contextmanager
def _progress() -> "Iterator[Callable[[int, int], None]]":
    """A bar on stderr where somebody sees it."""
    from rich.console import Console  # noqa: PLC0415 heavy
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415 heavy

    console = Console(stderr=True)
    columns = (TextColumn("partitions"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
