"""The command line (contracts.md section 2). Commands are imported when they are used: `--help` costs click alone.

Exit codes: 0 done, 1 refused or failed (the reason is on stderr), 2 wrong usage.
"""

from importlib import import_module

import click

from cordboard import __version__

_COMMANDS = {
    "run": ("services", "Everything in one process, on the log that is set."),
    "ingress": ("services", "Take webhooks and commands; needs Kafka."),
    "engine": ("services", "Decide what calls do; needs Kafka."),
    "actions": ("services", "Ask Twilio for what is wanted; needs Kafka."),
    "observe": ("services", "Answer everything that reads; needs Kafka."),
    "emulator": ("emulator", "The local Twilio alone, and calls on it."),
    "topics": ("topics", "Create or check the topics."),
    "send": ("send", "Send a command and print its result."),
    "calls": ("calls", "The calls that are live."),
    "call": ("calls", "One call: its state, and what happened with causes."),
    "events": ("events", "The event log."),
    "dead-letters": ("dead_letters", "Records that were put aside: list, show, redrive."),
    "replay": ("replay", "What this version would have done differently to real calls."),
    "schemas": ("schemas", "JSON Schemas and the AsyncAPI document."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported by name, and whose errors end as exit code 1 with the reason on stderr."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which one meets them."""
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module and take the command from it."""
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f"cordboard.app.commands.{_COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any of them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; an error of ours is told in one piece, without a trace."""
        from cordboard.errors import CordboardError  # noqa: PLC0415 as every import of a command

        try:
            return super().invoke(ctx)
        except CordboardError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cordboard")
@click.option("--ops", metavar="URL", help="The ops port to speak to, where it is not that of CORDBOARD_OPS_BIND.")
@click.pass_context
def cli(ctx: click.Context, ops: str | None) -> None:
    """Cordboard, the switchboard operator for Twilio conferences.

    \b
    Try it without an account:
      cordboard run --local-twilio
      cordboard emulator call --from +15550111 --to +15550100
      cordboard calls
      cordboard send call.hold --call CA…
      cordboard call CA…
      cordboard events --follow

    Settings are environment variables, or a .env file; docs/settings.md has them all.
    """  # noqa: D301 the backspace is click's mark for lines that stay as they are
    ctx.obj = ops


def main() -> None:
    """Run the command line, as the `cordboard` script does."""
    cli(prog_name="cordboard")


if __name__ == "__main__":
    main()
