"""The committed contracts: fresh, well-formed, one for every type, and readable by any validator."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from checkout import ROOT
from published import GENERATED, schema_files
from schemas import generate
from schemas.commands import COMMANDS
from schemas.commands import type_of as command_type
from schemas.events import EVENTS
from schemas.events import type_of as event_type

_DIGEST = """
import hashlib, schemas.generate as g
print(hashlib.sha256(b"".join(p.encode() + c for p, c in {**g.documents(), "page": g.messages_page().encode()}.items()))
.hexdigest())
"""
# An escape of a character that needs none is an error in ECMA 262's `u` mode, which validators use.
_NEEDLESS_ESCAPE = re.compile(r"\\(?![dDsSwWbBnrtfv0xupP^$\\.*+?()\[\]{}|/-]|[1-9])")


def _parts(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict):
        yield part
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _parts(inner)


@pytest.fixture
def copies(tmp_path: Path) -> tuple[Path, Path]:
    """Give a folder with all generated files, and one with the page."""
    generated, messages = tmp_path / "generated", tmp_path / "docs" / "messages.md"
    messages.parent.mkdir()
    generate.write(generated, messages)
    return generated, messages


def test_the_committed_files_are_fresh() -> None:
    """What is committed says what the structs say; if this fails, run `make schemas` and read the difference."""
    assert generate.stale() == []


def test_nothing_is_stale_after_writing(copies: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """Written files pass the check, and writing again changes nothing."""
    assert generate.main(["--check"], *copies) == 0
    assert generate.main(["--write"], *copies) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("which", ["changed", "missing", "left over", "page"])
def test_a_stale_file_is_named_and_mended(
    copies: tuple[Path, Path], which: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The check fails with the file's name and what to do, and changes nothing; writing mends it."""
    generated, messages = copies
    path = {
        "changed": generated / "asyncapi.json",
        "missing": generated / "views" / "call.v1.json",
        "left over": generated / "events" / "cordboard.event.call.parked.v1.json",
        "page": messages,
    }[which]
    if which == "missing":
        path.unlink()
    else:
        path.write_text("{}")

    assert generate.main(["--check"], *copies) == 1
    assert path.exists() == (which != "missing")
    said = capsys.readouterr().err
    assert str(path) in said
    assert "make schemas" in said
    assert generate.main(["--write"], *copies) == 0
    assert generate.stale(*copies) == []


def test_an_installed_package_has_no_page(copies: tuple[Path, Path]) -> None:
    """Without a `docs` folder the schemas alone are checked."""
    generated, messages = copies
    messages.unlink()
    messages.parent.rmdir()

    assert generate.stale(generated, messages) == []


@pytest.mark.parametrize("arguments", [[], ["--check", "--write"], ["--force"]])
def test_wrong_usage_is_said(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Without exactly one of the two options nothing is done."""
    with pytest.raises(SystemExit) as ended:
        generate.main(arguments)

    assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_the_same_structs_give_the_same_bytes() -> None:
    """Generation does not depend on the process that it runs in."""
    digests = {
        subprocess.run(
            [sys.executable, "-c", _DIGEST],
            cwd=ROOT, env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip

    assert len(digests) == 1


def test_there_is_one_schema_for_every_type() -> None:
    """Commands, their data, the result, events, views and internal records: none is missing, none too many."""
    expected = {
        *(f"commands/{command_type(name)}.json" for name in COMMANDS),
        *(f"command_data/{command_type(name)}.json" for name in COMMANDS),
        *(f"events/{event_type(name)}.json" for name in EVENTS),
        "results/cordboard.result.v1.json", "views/call.v1.json", "views/call_summary.v1.json",
        "internal/inbox_record.json", "internal/action.json", "internal/state_record.json",
    }  # fmt: skip

    assert set(schema_files()) == expected


@pytest.mark.parametrize("path", schema_files())
def test_every_schema_is_one(path: str) -> None:
    """Each is a valid schema of its dialect, says what it is, and refers to nothing outside itself."""
    schema = schema_files()[path]

    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    assert schema["title"]
    refs = {part["$ref"] for part in _parts(schema) if isinstance(part.get("$ref"), str)}
    assert refs == {f"#/$defs/{name}" for name in schema.get("$defs", {})}


def test_every_schema_has_an_id_of_its_own() -> None:
    """Ids are URNs: stable, unique, and fetched from nowhere."""
    ids = [schema["$id"] for schema in schema_files().values()]

    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"urn:cordboard:(message|data|view|internal):[a-z0-9_.]+", urn) for urn in ids)


@pytest.mark.parametrize("path", [path for path in schema_files() if not path.startswith("internal/")])
def test_public_schemas_explain_themselves(path: str) -> None:
    """Every object that is part of a contract has a description."""
    schema = schema_files()[path]

    undescribed = [part.get("title") for part in _parts(schema) if "title" in part and not part.get("description")]
    assert undescribed == []


def test_internal_schemas_are_marked() -> None:
    """Whoever opens the schema of an internal topic reads that it is no contract; no other schema is marked so."""
    marked = {path for path, schema in schema_files().items() if schema.get("x-internal")}

    assert marked == {path for path in schema_files() if path.startswith("internal/")}
    assert all("no contract" in schema_files()[path]["$comment"] for path in marked)


def test_patterns_are_those_of_json_schema() -> None:
    """Patterns are ECMA 262's, in the strict mode too: nothing of Python's own, no needless escape."""
    patterns = {
        part["pattern"]
        for schema in schema_files().values()
        for part in _parts(schema)
        if isinstance(part.get("pattern"), str)
    }

    assert len(patterns) >= 5
    for pattern in patterns:
        assert not re.search(r"\\[AZz]|\(\?P|\(\?[aiLmsux]", pattern), pattern
        assert not _NEEDLESS_ESCAPE.search(pattern), pattern


def test_the_package_carries_them() -> None:
    """The files lie inside the package, so that an installation has them."""
    assert Path(generate.__file__).parent / "generated" == GENERATED
    assert (GENERATED / "asyncapi.json").is_file()
