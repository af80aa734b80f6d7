"""`cordboard dead-letters`: what was put aside, and the way back in."""

import base64
from collections.abc import Iterator, Mapping
from typing import Any

import click

from cordboard.app.client import OpsClient, ops_client
from cordboard.app.output import print_json, print_table

_PAGE = 100


@click.group("dead-letters", short_help="Records that were put aside: list, show, redrive.")
def dead_letters() -> None:
    """Look at records that could not be handled, and put them back in.

    \b
    cordboard dead-letters list
    cordboard dead-letters show 3-17
    cordboard dead-letters redrive 3-17
    """  # noqa: D301 click's mark


@dead_letters.command("list")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document a line.")
@click.pass_obj
def list_(ops: str | None, limit: int, *, as_json: bool) -> None:
    """List dead letters, the newest first."""
    letters = _letters(ops_client(ops), limit)
    if as_json:
        print_json(letters)
        return
    rows = ((one["id"], one["at"], one["topic"], one["reason"], one["key"] or "", one["detail"]) for one in letters)
    print_table(("id", "at", "from", "reason", "key", "detail"), rows, empty="no dead letters")


@dead_letters.command("show")
@click.argument("letter_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.pass_obj
def show(ops: str | None, letter_id: str, *, as_json: bool) -> None:
    """Show one dead letter with the bytes as they came."""
    letter = ops_client(ops).get(f"/v1/dead-letters/{letter_id}")
    if as_json:
        print_json([letter])
        return
    for name in ("id", "at", "topic", "reason", "detail", "key"):
        click.echo(f"{name:<8} {letter[name] if letter[name] is not None else ''}")
    for name, value in letter["headers"].items():
        click.echo(f"header   {name}: {value}")
    click.echo("")
    click.echo(base64.b64decode(letter["body_base64"]).decode(errors="backslashreplace"))


@dead_letters.command("redrive", short_help="Put dead letters back into their topics.")
@click.argument("letter_ids", metavar="ID…", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON document a line.")
@click.pass_obj
def redrive(ops: str | None, letter_ids: tuple[str, ...], *, as_json: bool) -> None:
    """Put dead letters back into the topics that they came from, under new ids that name the old ones."""
    client = ops_client(ops)
    for letter_id in letter_ids:
        done = client.request("POST", f"/v1/dead-letters/{letter_id}/redrive").json()
        if as_json:
            print_json([done])
        else:
            click.echo(f"{letter_id} is back in {done['topic']}" + (f" as {done['id']}" if done["id"] else ""))


def _letters(client: OpsClient, limit: int) -> Iterator[Mapping[str, Any]]:
    after: str | None = None
    left = limit
    while left:
        page = client.get("/v1/dead-letters", {"limit": min(left, _PAGE), "after": after})
        yield from page["dead_letters"]
        left -= len(page["dead_letters"])
        after = page["next"]
        if after is None:
            return
