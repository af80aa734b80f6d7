"""Writes the recorded histories of this version anew: plays flows against the local Twilio and exports their calls.

`python -m histories`, or `make histories`: into tests/replay/histories/VERSION-DEFINITION. Those of older versions stay
as they are: nobody can write them any more. The shape of a call is pinned with them.
"""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
import structlog

from cordboard import __version__
from cordboard.app.replay.histories import export, opened_file
from flow_book import PAGES
from flow_pages import Flow, staged
from flow_play import Play
from flow_stage import Stage
from schemas.state import DEFINITION, Call

FOLDER = Path(__file__).parents[1] / "replay" / "histories"
OF_THIS_VERSION = f"{__version__}-{DEFINITION}"


def shape() -> str:
    """A digest of the shape of a call: every field, type and default, no words."""
    schema = msgspec.json.encode(_bare(msgspec.json.schema(Call)), order="deterministic")
    return sha256(schema).hexdigest()


def _bare(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: _bare(value) for key, value in schema.items() if key not in {"description", "title"}}
    return [_bare(value) for value in schema] if isinstance(schema, list) else schema


def shape_file(definition: int) -> Path:
    """Where the shape of a definition is pinned."""
    return FOLDER / f"shape-{definition}.txt"


def history_files() -> list[Path]:
    """Every recorded history, of all versions."""
    return sorted(FOLDER.glob("*/*.jsonl.gz"))


def name_of(file: Path) -> str:
    """What a history is called: its version and the flow."""
    return f"{file.parent.name}/{file.name.partition('.')[0]}"


async def record(names: Iterable[str], folder: Path) -> None:
    """Play every flow of these pages, and write one file for each page."""
    async with staged() as plain:
        for name in names:
            for number, (policy, flows) in enumerate(groupby(PAGES[name].flows, key=lambda flow: flow.policy), 1):
                async with _stage(policy, plain) as stage:
                    calls = [await _play(flow, stage) for flow in flows]
                    await _write(folder / f"{name}{f'-{number}' if number > 1 else ''}.jsonl.gz", stage, calls)


@asynccontextmanager
async def _stage(policy: str, plain: Stage) -> AsyncIterator[Stage]:
    if not policy:
        yield plain
        return
    async with staged(policy) as stage:
        yield stage


async def _play(flow: Flow, stage: Stage) -> str:
    play = Play(stage)
    await flow.play(play)
    return (await play.over()).call_id


async def _write(file: Path, stage: Stage, calls: Sequence[str]) -> None:
    async with opened_file(stage.folder / "journal.db") as history:
        keys = [call_id.encode() for call_id in calls]
        count = await export(history, file, keys, name_of(file))
    sys.stdout.write(f"{name_of(file)}: {count} records\n")


def main(names: list[str]) -> None:
    """Record the pages of these names, or all. Unknown names stop it with those that are known."""
    if unknown := set(names) - set(PAGES):
        sys.exit(f"no such flow: {', '.join(sorted(unknown))}; expected some of {', '.join(PAGES)}")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    folder = FOLDER / OF_THIS_VERSION
    folder.mkdir(parents=True, exist_ok=True)
    shape_file(DEFINITION).write_text(shape() + "\n", encoding="ascii")
    asyncio.run(record(names or PAGES, folder))


if __name__ == "__main__":
    main(sys.argv[1:])
