"""`cordboard schemas`: the published contracts, printed, written or compared."""

import sys
from pathlib import Path

import click


@click.command(short_help="JSON Schemas and the AsyncAPI document.")
@click.argument("name", required=False)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Write all of them into this folder.")
@click.option("--check", is_flag=True, help="Compare this checkout's files; exit code 1 when one is stale.")
@click.option("--write", is_flag=True, help="Write this checkout's files anew.")
def schemas(name: str | None, out: Path | None, *, check: bool, write: bool) -> None:
    """Print the contracts: without NAME what there is, with NAME one of them.

    \b
    cordboard schemas
    cordboard schemas asyncapi.json
    cordboard schemas commands/call.hold.v1.json
    cordboard schemas --out contracts/
    """  # noqa: D301 click's mark
    from schemas import generate  # noqa: PLC0415 heavy

    if check or write:
        sys.exit(generate.main(["--check" if check else "--write"]))
    documents = generate.documents()
    if out is not None:
        for path, content in documents.items():
            target = out / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        click.echo(f"{len(documents)} documents written to {out}")
    elif name is None:
        click.echo("\n".join(documents))
    elif name in documents:
        click.echo(documents[name].decode(), nl=False)
    else:
        raise click.ClickException(f"there is no {name!r}: `cordboard schemas` lists what there is")
