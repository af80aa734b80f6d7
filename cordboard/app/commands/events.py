"""`cordboard events`: the event log, as it is and as it goes on."""

import json
from collections.abc import Iterator
from typing import Any

import click

from cordboard.app.client import Frame, OpsClient, OpsError, ops_client
from cordboard.app.output import event_line, print_json

_CAUGHT_UP = "caught up"


@click.command(short_help="The event log.")
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes, until interrupted.")
@click.option("--call", "call_id", metavar="ID", help="Of one call.")
@click.option("--type", "types", metavar="T", multiple=True, help="Of this type: call.held, transfer.*, result.")
@click.option(
    "--from",
    "start",
    type=click.Choice(["earliest", "latest"]),
    help="Where to begin; with --follow at the end, else at the beginning.",
)
@click.option("--json", "as_json", is_flag=True, help="One CloudEvent a line.")
@click.pass_obj
def events(
    ops: str | None, call_id: str | None, types: tuple[str, ...], start: str | None, *, follow: bool, as_json: bool
) -> None:
    """Print the event log: when, of which call, what changed and what caused it.

    \b
    cordboard events
    cordboard events --follow
    cordboard events --call CA… --type 'transfer.*'
    cordboard events --follow --json
    """  # noqa: D301 click's mark
    client = ops_client(ops)
    query = {
        "from": start or ("latest" if follow else "earliest"),
        "type": ",".join(types),
        "call": call_id,
    }
    found = False
    try:
        for event in _events(client, query, follow=follow):
            found = True
            if as_json:
                print_json([event])
            else:
                click.echo(f"{event.get('subject', ''):<34}  {event_line(event)}")
    except KeyboardInterrupt:
        return
    if not found and not as_json:
        click.echo("no events")


def _events(client: OpsClient, query: dict[str, str | None], *, follow: bool) -> Iterator[dict[str, Any]]:
    for frame in client.frames(query):
        if frame.data and not frame.event:
            yield json.loads(frame.data)
        elif frame.event == "gap":
            click.echo(f"some events are gone from the log: {frame.data}", err=True)
        elif _ends(frame) and not follow:
            return
    if follow:
        raise OpsError(f"{client.url} ended the stream: it is being stopped")


def _ends(frame: Frame) -> bool:
    return frame.comment == _CAUGHT_UP
