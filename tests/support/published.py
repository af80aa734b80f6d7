"""The published contracts as a user has them: the committed files, and validators over them."""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from checkout import ROOT

__all__ = ["GENERATED", "page_examples", "schema_files", "validator"]

GENERATED = ROOT / "schemas" / "generated"
_FENCED_JSON = re.compile(r"^```json\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@cache
def schema_files() -> dict[str, Any]:
    """Every committed JSON Schema by its path under `schemas/generated`, without the AsyncAPI document."""
    return {
        path.relative_to(GENERATED).as_posix(): json.loads(path.read_bytes())
        for path in sorted(GENERATED.glob("*/*.json"))
    }


@cache
def validator(path: str) -> Draft202012Validator:
    """A validator of the committed schema at `path`, such as `events/cordboard.event.call.held.v1.json`."""
    return Draft202012Validator(schema_files()[path])


def page_examples() -> Iterator[dict[str, Any]]:
    """Every fenced JSON block of the reference page, in order."""
    page = (ROOT / "docs" / "messages.md").read_text(encoding="utf-8")
    for block in _FENCED_JSON.findall(page):
        yield json.loads(block)
