"""The published contracts as files: JSON Schemas, the AsyncAPI document, the reference. `documents` is pure.

    python -m schemas.generate --check    fails when a committed file is stale
    python -m schemas.generate --write    writes them anew

The files of a checkout are compared and written; an installed package carries `schemas/generated` but no `docs`.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from schemas.asyncapi import asyncapi
from schemas.json_schemas import (
    command_data_schemas,
    command_schemas,
    event_schemas,
    internal_schemas,
    result_schemas,
    view_schemas,
)
from schemas.reference import messages_page

GENERATED = Path(__file__).parent / "generated"
MESSAGES_PAGE = Path(__file__).parent.parent / "docs" / "messages.md"
REMEDY = "run `make schemas` and commit what it writes"


def documents() -> dict[str, bytes]:
    """Every contract by its path under `schemas/generated`. The same structs give the same bytes."""
    families = {
        "commands": command_schemas(),
        "command_data": command_data_schemas(),
        "results": result_schemas(),
        "events": event_schemas(),
        "views": view_schemas(),
        "internal": internal_schemas(),
    }
    schemas = {
        f"{folder}/{name}.json": as_json(schema)
        for folder, family in families.items()
        for name, schema in family.items()
    }
    return {**schemas, "asyncapi.json": as_json(asyncapi())}


def as_json(document: Mapping[str, Any]) -> bytes:
    """Indented JSON in UTF-8 with a final newline; keys keep their order."""
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


def files(generated: Path = GENERATED, messages: Path = MESSAGES_PAGE) -> dict[Path, bytes]:
    """Every generated file with what should be in it. The reference page only where there is a `docs` folder."""
    expected = {generated / path: content for path, content in documents().items()}
    return {**expected, messages: messages_page().encode()} if messages.parent.is_dir() else expected


def stale(generated: Path = GENERATED, messages: Path = MESSAGES_PAGE) -> list[str]:
    """What is wrong with the files, one line each: missing, out of date, or no longer made."""
    expected = files(generated, messages)
    wrong = [
        f"{path}: {'out of date' if path.is_file() else 'missing'}"
        for path, content in expected.items()
        if not path.is_file() or path.read_bytes() != content
    ]
    return wrong + [f"{path}: no longer made" for path in _left_over(generated, expected)]


def write(generated: Path = GENERATED, messages: Path = MESSAGES_PAGE) -> list[Path]:
    """Write what is missing or out of date and remove what is no longer made; the paths that changed."""
    expected = files(generated, messages)
    changed = [path for path, content in expected.items() if not path.is_file() or path.read_bytes() != content]
    for path in changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(expected[path])
    left_over = _left_over(generated, expected)
    for path in left_over:
        path.unlink()
    return changed + left_over


def _left_over(generated: Path, expected: Mapping[Path, bytes]) -> list[Path]:
    return sorted(path for path in generated.rglob("*.json") if path not in expected)


def main(arguments: Sequence[str] | None = None, generated: Path = GENERATED, messages: Path = MESSAGES_PAGE) -> int:
    """Check or write the files. Exit code 0: in order; 1: stale, with one line a file on stderr."""
    parser = argparse.ArgumentParser(prog="python -m schemas.generate", description="Published contracts as files.")
    wanted = parser.add_mutually_exclusive_group(required=True)
    wanted.add_argument("--check", action="store_true", help="fail when a file is stale; change nothing")
    wanted.add_argument("--write", action="store_true", help="write what is stale")
    if parser.parse_args(arguments).write:
        sys.stdout.writelines(
            f"wrote {path}\n" if path.exists() else f"removed {path}\n" for path in write(generated, messages)
        )
        return 0
    wrong = stale(generated, messages)
    sys.stderr.writelines(f"{line}\n" for line in wrong)
    if wrong:
        sys.stderr.write(f"{len(wrong)} generated files do not say what the structs say: {REMEDY}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
