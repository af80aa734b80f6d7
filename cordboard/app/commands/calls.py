"""`cordboard calls` and `cordboard call`: what is live, and what happened to one call."""

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import click

from cordboard.app.client import OpsClient, OpsError, ops_client
from cordboard.app.output import clock_time, commands_in, event_line, print_json, print_table
from schemas.results import RESULT_TYPE
from schemas.state import CallState

_PAGE = 200


@click.command(short_help="The calls that are live.")
@click.option("--state", type=click.Choice([state.value for state in CallState]), help="Only calls in this state.")
@click.option("--all", "everything", is_flag=True, help="Those that ended lately too.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document a line.")
@click.pass_obj
def calls(ops: str | None, state: str | None, limit: int, *, everything: bool, as_json: bool) -> None:
    """List the calls that are live, the newest first.

    \b
    cordboard calls
    cordboard calls --state held
    cordboard calls --all --json
    """  # noqa: D301 click's mark
    wanted = _listed(ops_client(ops), state, limit, everything=everything or state == CallState.ENDED.value)
    if as_json:
        print_json(wanted)
        return
    rows = (
        (
            c["call_id"],
            c["state"],
            c["direction"],
            clock_time(c["created_at"]),
            clock_time(c["ended_at"]),
            str(c["legs"]),
        )
        for c in wanted
    )
    print_table(("call", "state", "direction", "began", "ended", "legs"), rows, empty="no calls")


def _listed(client: OpsClient, state: str | None, limit: int, *, everything: bool) -> Iterator[Mapping[str, Any]]:
    after: str | None = None
    left = limit
    while True:
        page = client.get("/v1/calls", {"state": state, "limit": _PAGE, "after": after})
        for call in page["calls"]:
            if everything or call["state"] != CallState.ENDED.value:
                yield call
                left -= 1
                if not left:
                    return
        after = page["next"]
        if after is None:
            return


@click.command(short_help="One call: its state, and what happened with causes.")
@click.argument("call_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="The state, then one event a line.")
@click.pass_obj
def call(ops: str | None, call_id: str, *, as_json: bool) -> None:
    """Show one call: how it is, and everything that happened to it with what caused it.

    \b
    cordboard call CA00000000000000000000000000000001
    """  # noqa: D301 click's mark
    client = ops_client(ops)
    events = client.get(f"/v1/calls/{call_id}/events")["events"]
    state = _state(client, call_id)
    if as_json:
        print_json([*([state] if state else []), *events])
        return
    if state is None:
        click.echo(f"{call_id}: no state of it is kept{_why_stateless(events)}; what the event log has of it:\n")
    else:
        _print_state(state)
    commands = commands_in(events)
    for event in events:
        click.echo(event_line(event, commands))


def _why_stateless(events: Sequence[Mapping[str, Any]]) -> str:
    """A call that began has ended long ago; of one that never did there are refusals alone."""
    return " any more" if any(event["type"] != RESULT_TYPE for event in events) else ", it never began here"


def _state(client: OpsClient, call_id: str) -> Mapping[str, Any] | None:
    try:
        state: Mapping[str, Any] = client.get(f"/v1/calls/{call_id}")
    except OpsError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return None
        raise
    return state


def _print_state(state: Mapping[str, Any]) -> None:
    room = state["room"]
    ended = f", ended {clock_time(state['ended_at'])}" if state["ended_at"] else ""
    click.echo(
        f"{state['call_id']}  {state['state']}  ({state['direction']}, began {clock_time(state['created_at'])}{ended})"
    )
    click.echo(f"room {room['name']}  {room['sid'] or 'not there yet'}")
    transfer = state["transfer"]
    if transfer:
        target = f" to {transfer['target']}" if transfer["target"] else ""
        click.echo(f"transfer {transfer['transfer']}: {transfer['mode']}, {transfer['state']}{target}")
    quarantined = state.get("quarantined")
    if quarantined:
        click.echo(
            f"quarantined: {quarantined['records']} of its records are dead letters, the last one is "
            f"{quarantined['record']} ({quarantined['reason']}) at {clock_time(quarantined['at'])}"
        )
    for timer in state["timers"]:
        click.echo(f"timer {timer['name']} due {clock_time(timer['due'])}")
    for action in state["pending_actions"]:
        click.echo(f"waiting for {action['type']} {action['id']} since {clock_time(action['since'])}")
    rows = [
        (leg["leg"], leg["role"], leg["state"], leg["call_sid"] or "", leg["target"] or "", _flags(leg))
        for leg in state["legs"]
    ]
    print_table(("leg", "role", "state", "Twilio call", "target", "is"), rows, empty="no legs")


def _flags(leg: Mapping[str, Any]) -> str:
    observed, desired = leg["observed"], leg["desired"]
    words = []
    for flag in ("hold", "muted", "end_on_exit"):
        if observed[flag] or desired[flag]:
            pending = "" if observed[flag] == desired[flag] else (" wanted" if desired[flag] else " to end")
            words.append(f"{flag}{pending}")
    if observed["coaching"]:
        words.append(f"coaching {observed['coaching']}")
    return ", ".join([*words, *([leg["reason"]] if leg["reason"] else [])])
