"""`cordboard emulator`: the local Twilio alone, and calls placed on it."""

import asyncio
import signal
import sys
import time

import click

from cordboard.app.bind import checked_bind, told_when_taken
from cordboard.app.commands.emulator_files import load, scenario
from cordboard.app.commands.services import run_to_end

_BIND = "127.0.0.1:8090"


@click.group(invoke_without_command=True, short_help="The local Twilio alone, and calls on it.")
@click.option(
    "--bind", callback=checked_bind, default=_BIND, show_default=True, metavar="HOST:PORT", help="Where to listen."
)
@click.option("--virtual", is_flag=True, help="Time stands still until POST /_emulator/clock lets it pass.")
@click.pass_context
def emulator(ctx: click.Context, *, bind: str, virtual: bool) -> None:
    """Run the local Twilio: REST API, TwiML, signed callbacks; account and number from the settings or made up.

    \b
    cordboard emulator
    cordboard emulator call --from +15550111 --to +15550100
    cordboard emulator scenario busy-agent.toml --virtual
    cordboard emulator load busy-hour.toml

    Numbers lead to CORDBOARD_PUBLIC_URL. Nothing leaves this machine.
    """  # noqa: D301 click's mark
    if ctx.invoked_subcommand is None:
        _serve(bind, virtual=virtual)


@emulator.command("call")
@click.option("--from", "from_", required=True, metavar="NUMBER", help="Who calls: +15550111, or client:alice.")
@click.option("--to", default="", metavar="NUMBER", help="Which number is called: +15550100.")
@click.option("--app", "application", default="", metavar="AP…", help="As a browser, through this TwiML application.")
@click.option("--for", "for_s", type=click.FloatRange(0.1), metavar="SECONDS", help="Hang up after this time.")
@click.option("--emulator", "url", default=f"http://{_BIND}", show_default=True, metavar="URL", help="Which emulator.")
def call(*, from_: str, to: str, application: str, for_s: float | None, url: str) -> None:
    """Place a call and stay as the caller: you read what you would hear, and the keys are your phone.

    \b
    0-9 * #  are pressed         s  says something: type a line, then Enter
    h        hangs up            a  answers for a party that rings and waits
    ?        shows the keys

    \b
    cordboard emulator call --from +15550111 --to +15550100
    cordboard emulator call --from +15550111 --to +15550100 --for 30
    """  # noqa: D301 click's mark
    from emulator.caller import interactive_call  # noqa: PLC0415 heavy
    from emulator.keys import stdin_keys  # noqa: PLC0415 beside it

    if not to and not application:
        raise click.UsageError("say who is called: --to NUMBER, or --app AP…")

    async def live() -> int:
        keys = stdin_keys() if sys.stdin.isatty() else None
        calling = asyncio.ensure_future(
            interactive_call(
                url, from_, to, out=click.echo, keys=keys, for_s=for_s, application_sid=application, echo=_echo
            )
        )
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, calling.cancel)
        return await calling

    try:
        code = asyncio.run(live())
    except (KeyboardInterrupt, asyncio.CancelledError):
        code = 0
    sys.exit(code)


def _echo(typed: str) -> None:
    click.echo(typed, nl=False)


emulator.add_command(scenario)
emulator.add_command(load)


def _serve(bind: str, *, virtual: bool) -> None:
    from cordboard.app import local_twilio  # noqa: PLC0415 heavy
    from cordboard.app.foreign_logs import take_foreign_logs  # noqa: PLC0415 heavy
    from cordboard.app.supervision import Supervisor, leaving_on_signals  # noqa: PLC0415 as above
    from cordboard.logs import configure_logs  # noqa: PLC0415 as above
    from cordboard.settings_checks import load_settings  # noqa: PLC0415 as above
    from emulator import VirtualClock, VirtualLoop, serve  # noqa: PLC0415 as above

    given = load_settings().settings
    settings = given
    if not given.public_url or given.account is None:
        settings = load_settings(overrides=local_twilio.overrides(bind)).settings
    configure_logs()
    take_foreign_logs()

    async def main() -> None:
        supervisor = Supervisor()
        clock = VirtualClock(time.time()) if virtual else None
        config = local_twilio.emulator_config(settings, bind)
        async with leaving_on_signals(supervisor), serve(config, clock) as running:
            number = settings.twilio_number or local_twilio.NUMBER
            click.echo(f"The local Twilio listens on {running.url}; {number} leads to {settings.public_url}.")
            await supervisor.wait()

    with told_when_taken("Choose another address with --bind HOST:PORT"):
        run_to_end(main, VirtualLoop if virtual else None)
