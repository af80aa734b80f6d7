"""`cordboard run`, and the services one by one."""

import asyncio
import shlex
import shutil
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cordboard.app.bind import checked_bind, told_when_taken
from cordboard.settings import Settings, is_loopback

if TYPE_CHECKING:
    from cordboard.app.bootstrap import Addresses
    from cordboard.settings_checks import Overrides

_JSON = click.option("--json", "as_json", is_flag=True, help="Where it listens as one JSON document on stdout.")
_DEFAULT_OPS = str(Settings.model_fields["ops_bind"].default)


@click.command(short_help="Everything in one process, on the log that is set.")
@click.option("--local-twilio", is_flag=True, help="With a local Twilio and a made-up account: no credentials needed.")
@click.option(
    "--emulator-bind",
    callback=checked_bind,
    default="127.0.0.1:8090",
    show_default=True,
    metavar="HOST:PORT",
    help="Where the local Twilio listens.",
)
@_JSON
def run(*, local_twilio: bool, emulator_bind: str, as_json: bool) -> None:
    """Run ingress, router, engine, action workers and everything that reads in one process.

    \b
    cordboard run --local-twilio      try it: nothing is needed, nothing leaves this machine
    cordboard run                     the real Twilio, by CORDBOARD_PUBLIC_URL and CORDBOARD_TWILIO_…

    SIGTERM and Ctrl-C drain: finish what is in hand, then exit 0.
    """  # noqa: D301 click's mark
    _serve("run", emulator_bind if local_twilio else None, as_json=as_json)


def _service(name: str, text: str) -> click.Command:
    @click.command(name, short_help=text, help=f"{text}\n\nNeeds Kafka: CORDBOARD_LOG=kafka:HOST:PORT.")
    @_JSON
    def command(*, as_json: bool) -> None:
        _serve(name, None, as_json=as_json)

    return command


ingress = _service("ingress", "Take webhooks and commands: Twilio's side, and commands on the ops port.")
engine = _service("engine", "Route commands and decide what calls do.")
actions = _service("actions", "Ask Twilio for what the engine wants done.")
observe = _service("observe", "Answer everything that reads, on the ops port.")

_SWITCH_S = 0.0005
"""How long a thread waits for the interpreter's lock before the one that has it must let go. The journal's writer waits
for it several times a transaction, while the event loop works: with Python's 5 ms that is most of a commit."""


def _serve(service: str, emulator_bind: str | None, *, as_json: bool) -> None:
    from cordboard.app.foreign_logs import take_foreign_logs  # noqa: PLC0415 heavy
    from cordboard.logs import configure_logs  # noqa: PLC0415 heavy: what a service is made of is imported for one
    from cordboard.settings_checks import load_settings  # noqa: PLC0415 as above

    loaded = load_settings(overrides=_overrides(emulator_bind), needs=service)
    configure_logs()
    take_foreign_logs()
    from cordboard.app.bootstrap import Part, serve  # noqa: PLC0415 heaviest of all: wrong settings are told before

    parts = frozenset(Part) if service == "run" else frozenset({Part(service)})

    def announce(addresses: "Addresses") -> None:
        click.echo(_as_json(addresses) if as_json else _announcement(loaded.settings, addresses))

    with told_when_taken(
        "The addresses are CORDBOARD_INGRESS_BIND and CORDBOARD_OPS_BIND, and --emulator-bind for the local Twilio"
    ):
        run_to_end(lambda: serve(loaded, parts, announce, emulator_bind=emulator_bind))


def _overrides(emulator_bind: str | None) -> "Overrides | None":
    if emulator_bind is None:
        return None
    from cordboard.app import local_twilio  # noqa: PLC0415 as in _serve

    return local_twilio.overrides(emulator_bind)


def run_to_end(
    main: Callable[[], Coroutine[Any, Any, None]], loop: Callable[[], asyncio.AbstractEventLoop] | None = None
) -> None:
    """Run a coroutine on the `loop` that is made, else on uvloop where there is one."""
    sys.setswitchinterval(_SWITCH_S)
    with asyncio.Runner(loop_factory=loop or _loop_factory()) as runner:
        runner.run(main())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 not on every platform
    except ImportError:
        return None
    return uvloop.new_event_loop


def _as_json(addresses: "Addresses") -> str:
    import msgspec  # noqa: PLC0415 only for who asks for it

    return msgspec.json.encode(addresses).decode()


def _announcement(settings: Settings, addresses: "Addresses") -> str:
    lines = ["Cordboard runs; Ctrl-C stops it.", ""]
    if addresses.ingress:
        exposed = "" if is_loopback(settings.ingress_bind) else ", exposed"
        lines.append(
            f"  ingress  {addresses.ingress}   Twilio's side{exposed}; its public URL is {settings.public_url}"
        )
    lines.append(f"  ops      {addresses.ops}   health, metrics, commands, reading")
    if addresses.emulator:
        lines.append(f"  Twilio   {addresses.emulator}   the local one; {settings.twilio_number} leads here")
    lines.append(f"  log      {settings.log}")
    if addresses.emulator:
        lines += ["", "Try this in another terminal (ID is the call that the first line prints):", ""]
        lines += [f"  {line}" for line in _to_try(settings, addresses)]
    return "\n".join(lines)


def _to_try(settings: Settings, addresses: "Addresses") -> list[str]:
    from cordboard.app.local_twilio import AGENT, CALLER, DEFAULT_BIND, emulator_url  # noqa: PLC0415 imported already

    name = _own_name()
    elsewhere = [] if addresses.emulator == emulator_url(DEFAULT_BIND) else ["--emulator", str(addresses.emulator)]
    asking = name if settings.ops_bind == _DEFAULT_OPS else f"{name} --ops {addresses.ops}"
    call = shlex.join(["--from", CALLER, "--to", settings.twilio_number, *elsewhere])
    return [
        f"{name} emulator call {call}",
        f"{asking} calls",
        f"{asking} send call.connect --call ID --to phone:{AGENT}",
        f"{asking} send call.hold --call ID",
        f"{asking} send call.resume --call ID",
        f"{asking} send call.transfer --call ID --mode cold --target phone:+15550133",
        f"{asking} call ID",
        f"{asking} events --follow",
        f"{asking} send call.end --call ID",
    ]


def _own_name() -> str:
    """How this command is called from here: its name where the PATH finds it, else its path."""
    called = Path(sys.argv[0])
    found = shutil.which("cordboard")
    if found and called.exists() and Path(found).samefile(called):
        return "cordboard"
    try:
        return str(called.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(called)
