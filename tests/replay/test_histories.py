"""Recorded histories, stepped through the code as it is now, give what they gave then; or the change is declared."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cordboard.app.cli import cli
from cordboard.app.replay.differences import CallReport, Difference
from cordboard.app.replay.histories import opened_file, read_file
from cordboard.app.replay.replaying import replay
from flow_book import PAGES
from histories import OF_THIS_VERSION, history_files, name_of, shape, shape_file
from schemas.state import DEFINITION
from schemas.topics import Topic
from schemas.versions import UPCASTS, definition_of

DECLARED = tomllib.loads((Path(__file__).parent / "declared.toml").read_text(encoding="utf-8"))
FILES = {name_of(file): file for file in history_files()}


async def reports_of(file: Path) -> list[CallReport]:
    """Every call of a history, compared."""
    async with opened_file(file) as history:
        return [report async for report in replay(history)]


def change(difference: Difference) -> str:
    """A difference as `declared.toml` writes it."""
    absent = "—"
    then = absent if difference.then is None else difference.then
    now = absent if difference.now is None else difference.now
    if difference.kind in {"event", "action", "result"} and absent in {then, now}:
        then, now = ("there", absent) if now == absent else (absent, "there")
    return f"{difference.kind} {difference.what}: {then} -> {now}"


@pytest.mark.parametrize("name", FILES)
async def test_a_history_comes_out_as_it_did(name: str) -> None:
    """States, actions, events and results are those of then. A change on purpose stands in declared.toml."""
    reports = await reports_of(FILES[name])

    found = {change(difference) for report in reports for difference in report.differences}
    declared = {text for entry in DECLARED.get(name, ()) for text in entry["changes"]}
    assert not any(report.skipped for report in reports)
    assert sum(report.records for report in reports) > 5
    assert found == declared, "behaviour has changed: mend it, or declare the change with its reason"


def test_declarations_name_histories_and_reasons() -> None:
    """A declaration without a history, or without a reason, explains nothing."""
    assert set(DECLARED) <= set(FILES)
    assert all(len(entry["reason"]) > 20 for entries in DECLARED.values() for entry in entries)


def test_every_flow_has_a_history_of_this_version() -> None:
    """Each page of docs/flows that is played has one; `make histories` writes them."""
    recorded = {name.partition("/")[2] for name in FILES if name.startswith(OF_THIS_VERSION)}

    assert set(PAGES) <= recorded, "record them: make histories"


def states_in(name: str) -> list[bytes]:
    """Every call of a history's state records, as written."""
    lines = (record for record in read_file(FILES[name])._records.items())
    values = [r.value for (topic, _), records in lines if topic is Topic.STATE for r in records if r.value is not None]
    envelopes: list[dict[str, Any]] = [json.loads(value) for value in values if b'"in_off"' in value]
    return [json.dumps(envelope["call"]).encode() for envelope in envelopes if "call" in envelope]


@pytest.mark.parametrize("name", FILES)
def test_states_carry_their_version(name: str) -> None:
    """A state says which version wrote it; the first version said nothing, and that counts as 1."""
    expected = int(name.partition("/")[0].rpartition("-")[2])

    assert {definition_of(state) for state in states_in(name)} == {expected}


def test_every_older_version_is_still_read() -> None:
    """There is a way up from each version to the present one, and a history that an older one really wrote."""
    recorded = {int(name.partition("/")[0].rpartition("-")[2]) for name in FILES}

    assert set(UPCASTS) == set(range(1, DEFINITION))
    assert recorded == set(range(1, DEFINITION + 1)), "keep one history of every definition"


def test_the_shape_of_a_call_is_pinned() -> None:
    """A change of the shape raises the definition; until a release has written it, `make histories` pins it anew."""
    pinned = shape_file(DEFINITION).read_text(encoding="ascii").strip()

    assert shape() == pinned, (
        f"calls have another shape than definition {DEFINITION}: if a release has written that one, raise DEFINITION "
        "and add the step to schemas/versions.py; then make histories"
    )


def test_the_command_line_tells_the_same(tmp_path: Path) -> None:
    """`cordboard replay FILE` ends with 0 where nothing differs, and with 1 and a table where something does."""
    same = f"{OF_THIS_VERSION}/hold-and-resume"
    good = CliRunner().invoke(cli, ["replay", str(FILES[same])])
    changed = CliRunner().invoke(cli, ["replay", "--json", str(FILES["0.1.0-1/held"])])

    assert (good.exit_code, changed.exit_code) == (0, 1), good.output
    assert good.stdout.endswith("calls replayed: no difference\n")
    *calls, last = [json.loads(line) for line in changed.stdout.splitlines()]
    assert last["summary"]["differing"] == 1
    assert any(call["differences"] for call in calls)
    assert not list(tmp_path.iterdir())
