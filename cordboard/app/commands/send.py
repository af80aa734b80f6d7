"""`cordboard send`: publish a command through the ops port and print its terminal result."""

import json
import sys
import uuid
from http import HTTPStatus
from typing import Any

import click

from cordboard.app.client import OpsClient, ops_client
from cordboard.app.command_fields import UsageError, catalogue, data_of, short_name
from cordboard.app.output import print_json
from schemas.cloudevents import STRUCTURED
from schemas.commands import type_of
from schemas.ids import is_call_id
from schemas.results import Outcome

SOURCE = "cordboard-cli"
_MAX_WAIT_S = 60.0
_MARGIN_S = 10.0


@click.command(
    short_help="Send a command and print its result.",
    epilog=f"\b\nTYPE, with the fields of its data:\n{catalogue()}\n\nWhat they mean: docs/messages.md.",
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
@click.argument("type_", metavar="TYPE")
@click.option("--call", "call_id", metavar="ID", help="The call; call.dial has none, its answer names one.")
@click.option("--data", metavar="JSON", help="The command's data as a JSON object.")
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(0, _MAX_WAIT_S),
    default=10.0,
    show_default=True,
    help="Seconds to wait for the result; 0 does not wait.",
)
@click.option(
    "--id", "command_id", metavar="ID", help="The idempotency key: a command sent again under it is done once."
)
@click.option("--deadline", metavar="TIME", help="RFC 3339: not to be begun after it.")
@click.option("--json", "as_json", is_flag=True, help="The answer as one JSON document.")
@click.pass_context
def send(
    ctx: click.Context,
    type_: str,
    call_id: str | None,
    data: str | None,
    wait_s: float,
    command_id: str | None,
    deadline: str | None,
    *,
    as_json: bool,
) -> None:
    """Send the command TYPE to a call and print how it ended. Any other --name value becomes a field of its data.

    \b
    cordboard send call.connect --call CA… --to phone:+15550111
    cordboard send call.hold --call CA…
    cordboard send call.transfer --call CA… --mode cold --target phone:+15550122 --target client:alice
    cordboard send call.dial --agent client:alice --to phone:+15550133
    cordboard send call.transfer --call CA… --data '{"mode": "warm", "targets": ["phone:+15550122"]}'

    Exit code 0 when the result is `applied`, 1 when it is anything else or did not come in time.
    """  # noqa: D301 click's mark
    try:
        name = short_name(type_)
        _check_call(name, call_id)
        body = data_of(name, data, ctx.args)
    except UsageError as error:
        raise click.UsageError(str(error), ctx) from error
    event = {
        "specversion": "1.0",
        "id": command_id or uuid.uuid4().hex,
        "source": SOURCE,
        "type": type_of(name),
        "datacontenttype": "application/json",
        **({"subject": call_id} if call_id else {}),
        **({"deadline": deadline} if deadline else {}),
        "data": json.loads(body),
    }
    client = ops_client(ctx.obj, timeout_s=wait_s + _MARGIN_S)
    sys.exit(_send(client, name, event, wait_s, as_json=as_json))


def _check_call(name: str, call_id: str | None) -> None:
    if name == "call.dial":
        if call_id is not None:
            raise UsageError("call.dial begins a new call: leave --call out, the answer names it")
    elif call_id is None:
        raise UsageError(f"{name} needs --call ID; `cordboard calls` lists them")
    elif not is_call_id(call_id):
        raise UsageError(f"{call_id!r} cannot be a call id")


def _send(client: OpsClient, name: str, event: dict[str, Any], wait_s: float, *, as_json: bool) -> int:
    body = json.dumps(event).encode()
    query = {"wait": f"{wait_s:g}"} if wait_s else None
    answer = client.request("POST", "/v1/commands", query, body=body, headers={"Content-Type": STRUCTURED})
    document = answer.json()
    if as_json:
        print_json([document])
    if answer.status == HTTPStatus.ACCEPTED:
        return _accepted(name, document, wait_s, as_json=as_json)
    result = document["data"]
    done = result["outcome"] == Outcome.APPLIED.value
    if not as_json:
        click.echo(_told(name, document.get("subject", ""), result), err=not done)
    return 0 if done else 1


def _accepted(name: str, document: dict[str, Any], wait_s: float, *, as_json: bool) -> int:
    if not wait_s:
        if not as_json:
            click.echo(f"{name} taken as {document['id']} for call {document['call_id']}")
        return 0
    click.echo(
        f"{name} was taken as {document['id']} for call {document['call_id']}, and no result came within {wait_s:g} s. "
        f"It may still come: cordboard call {document['call_id']}",
        err=True,
    )
    return 1


def _told(name: str, call_id: str, result: dict[str, Any]) -> str:
    lines = [f"{name} {result['outcome']}" + (f": {result['reason']}" if result.get("reason") else "")]
    told = {"call": call_id, "state": result.get("state"), "detail": result.get("detail")}
    lines += [f"  {what}: {value}" for what, value in told.items() if value]
    if result.get("allowed"):
        lines.append(f"  allowed now: {', '.join(result['allowed'])}")
    if result.get("replayed"):
        lines.append("  this is the first answer again: the command id was known already")
    return "\n".join(lines)
