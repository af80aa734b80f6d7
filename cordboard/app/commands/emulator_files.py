"""`cordboard emulator scenario` and `load`: files that are played on a local Twilio, and many calls at once."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cordboard.app.bind import checked_bind

if TYPE_CHECKING:
    from emulator import Emulator, EmulatorConfig
    from emulator.load import Course
    from emulator.scenario import Load, Scenario

_URL = "http://127.0.0.1:8090"
_ANY_PORT = "127.0.0.1:0"

_file = click.Path(exists=True, dir_okay=False, path_type=Path)
_of_emulator = click.option("--emulator", "url", metavar="URL", help=f"Which emulator.  [default: {_URL}]")
_virtual = click.option("--virtual", is_flag=True, help="On an emulator of its own, in virtual time.")
_bind = click.option(
    "--bind",
    callback=checked_bind,
    default=_ANY_PORT,
    metavar="HOST:PORT",
    help="With --virtual: where that listens.  [default: any port]",
)
_grace = click.option(
    "--grace", type=click.FloatRange(0.0), default=0.25, show_default=True, metavar="SECONDS",
    help="With --virtual: how long (in real time) your application may take to go on after a request.",
)  # fmt: skip


@click.command(short_help="Play a file of people, calls and expectations.")
@click.argument("file", type=_file)
@_of_emulator
@_virtual
@_bind
@_grace
@click.option("--seed", type=int, default=0, show_default=True, help="With --virtual: same seed, same events.")
@click.option(
    "--events", type=click.Path(dir_okay=False, path_type=Path), help="Write every event there, as JSON lines."
)
def scenario(
    *, file: Path, url: str | None, virtual: bool, bind: str, grace: float, seed: int, events: Path | None
) -> None:
    """Play a scenario: people, calls and expectations in TOML or YAML. Exit code 0: everything went as written.

    With --virtual time stands still while anything moves, and jumps to the next thing that is to happen: an hour
    passes in about a second.

    \b
    cordboard emulator scenario busy-agent.toml
    cordboard emulator scenario busy-agent.toml --virtual --events events.jsonl
    """  # noqa: D301 click's mark
    from emulator import play_scenario  # noqa: PLC0415 heavy
    from emulator.scenario import ScenarioError, load  # noqa: PLC0415 as above

    try:
        given = load(file)
    except ScenarioError as error:
        raise click.ClickException(str(error)) from error
    with ExitStack() as stack:
        log = stack.enter_context(events.open("wb")).write if events else lambda _: 0

        def play(at: str) -> Awaitable[int]:
            return play_scenario(at, given, out=click.echo, log=log)

        code = _play(play, given, url, virtual=virtual, bind=bind, grace=grace, seed=seed)
    sys.exit(code)


@click.command("load", short_help="Place many calls at a stated rate.")
@click.argument("file", type=_file, required=False)
@click.option("--to", metavar="NUMBER", help="Which number is called; needed without a file.")
@click.option("--calls", type=click.IntRange(1), help="How many calls.  [default: 100]")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Calls a second.  [default: 10]")
@click.option("--arrivals", type=click.Choice(["even", "poisson"]), help="How they come.  [default: poisson]")
@click.option("--seed", type=int, help="Same seed, same callers at the same times.  [default: 0]")
@click.option("--drain", type=click.FloatRange(0.0), default=60.0, show_default=True, metavar="SECONDS",
              help="How long to wait for the last calls to end.")  # fmt: skip
@_of_emulator
@_virtual
@_bind
@_grace
def load(  # noqa: PLR0913 one parameter an option
    *, file: Path | None, to: str | None, calls: int | None, rate: float | None, arrivals: str | None,
    seed: int | None, drain: float, url: str | None, virtual: bool, bind: str, grace: float,
) -> None:  # fmt: skip
    """Place calls at a rate, from a mix of callers, and tell what became of them. Options count before the file.

    The file's [load] table says who calls; without a file every caller talks for 30 s. Exit code 0: every call began
    and ended.

    \b
    cordboard emulator load --to +15550100 --rate 50 --calls 2000
    cordboard emulator load busy-hour.toml --rate 20
    cordboard emulator load busy-hour.toml --virtual
    """  # noqa: D301 click's mark
    from emulator.load import Course, run_load  # noqa: PLC0415 heavy

    given = _with_load(file, {"to": to, "calls": calls, "rate": rate, "arrivals": arrivals, "seed": seed})
    wanted = given.load
    assert wanted is not None  # noqa: S101 `_with_load` has seen to it
    courses: list[Course] = []

    async def run(at: str) -> int:
        await _set_up(at, given)
        with _progress(wanted) as show:

            def told(course: Course) -> None:
                courses[:] = [course]
                show(course)

            await run_load(at, wanted, told=told, drain_s=drain)
        return 0

    try:
        _play(run, given, url, virtual=virtual, bind=bind, grace=grace, seed=wanted.seed)
    except KeyboardInterrupt:
        click.echo("Interrupted; so far:", err=True)
    sys.exit(_report(wanted, courses[0]) if courses else 1)


def _play(
    work: Callable[[str], Awaitable[int]], given: "Scenario", url: str | None, *,
    virtual: bool, bind: str, grace: float, seed: int,
) -> int:  # fmt: skip
    """Do it on the emulator that is named, or on one of its own in virtual time; returns the exit code."""
    from aiohttp import ClientError  # noqa: PLC0415 heavy

    from cordboard.logs import configure_logs  # noqa: PLC0415 as above
    from emulator import run_virtual  # noqa: PLC0415 as above
    from emulator.desk import RefusedError  # noqa: PLC0415 as above

    configure_logs(level=_WARNING)
    if virtual and url is not None:
        raise click.UsageError("--virtual starts an emulator of its own; leave --emulator out")
    if not virtual and given.emulator is not None:
        raise click.UsageError("the file's [emulator] table is for an emulator of its own: add --virtual")

    async def play(emulator: "Emulator") -> int:
        if bind != _ANY_PORT:
            click.echo(f"The local Twilio of this file listens on {emulator.url}.", err=True)
        return await work(emulator.url)

    async def played() -> int:
        return await work(url or _URL)

    try:
        if virtual:
            return run_virtual(_config(given, bind, seed), play, grace_s=grace)
        return asyncio.run(played())
    except RefusedError as error:
        raise click.ClickException(str(error)) from error
    except (ClientError, OSError) as error:
        text = f"{type(error).__name__}: {error}"
        if not virtual:
            text = f"no emulator at {url or _URL} ({text}). Start one with: cordboard emulator"
        raise click.ClickException(text) from error


_WARNING = 30


def _config(given: "Scenario", bind: str, seed: int) -> "EmulatorConfig":
    import msgspec  # noqa: PLC0415 heavy

    from cordboard.settings import host_port  # noqa: PLC0415 as above
    from emulator import EmulatorConfig  # noqa: PLC0415 as above

    host, port = host_port(bind)
    return msgspec.structs.replace(given.emulator or EmulatorConfig(), host=host, port=port, seed=seed)


def _with_load(file: Path | None, options: dict[str, object]) -> "Scenario":
    """The file, or none, with what the options say. Raises `click.ClickException`."""
    import msgspec  # noqa: PLC0415 heavy

    from emulator.scenario import Load, Scenario, ScenarioError  # noqa: PLC0415 as above
    from emulator.scenario import load as read  # noqa: PLC0415 as above

    said = {name: value for name, value in options.items() if value is not None}
    if file is None and "to" not in said:
        raise click.UsageError("say which number is called: --to NUMBER, or a file with a [load] table")
    try:
        given = read(file) if file else Scenario(title="Load")
        if given.load is None:
            if "to" not in said:
                raise click.ClickException(f"{file} has no [load] table")
            return msgspec.structs.replace(given, load=msgspec.convert(said, Load))
        return msgspec.structs.replace(given, load=msgspec.structs.replace(given.load, **said))
    except (ScenarioError, msgspec.ValidationError) as error:
        raise click.ClickException(str(error)) from error


async def _set_up(at: str, given: "Scenario") -> None:
    import aiohttp  # noqa: PLC0415 heavy

    from emulator.desk import Desk  # noqa: PLC0415 as above
    from emulator.player import set_up  # noqa: PLC0415 as above

    async with aiohttp.ClientSession() as session:
        await set_up(Desk(session, at), given)


def _progress(wanted: "Load") -> "AbstractContextManager[Callable[[Course], None]]":
    from cordboard.app.load_report import progress  # noqa: PLC0415 rich is heavy

    return progress(wanted.calls)


def _report(wanted: "Load", course: "Course") -> int:
    from cordboard.app.load_report import report  # noqa: PLC0415 rich is heavy

    return report(wanted, course)
