"""An upgrade under running calls: the old version stops, the new one starts on the same journal, the calls go on."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas.state import DEFINITION
from schemas.versions import definition_of
from stack import AGENT, OTHER, Call, Stack, until

Fields = dict[str, Any]
pytestmark = pytest.mark.slow


def rewrite_states(journal: Path, change: Callable[[Fields], Fields]) -> int:
    """Change the call in every state record of a journal that nobody uses; gives how many there were."""
    connection = sqlite3.connect(journal, isolation_level=None)
    try:
        rows = connection.execute(
            "SELECT r.id, r.value FROM records r JOIN log l ON l.key IS r.key AND l.value IS r.value "
            "WHERE l.topic = 'call.state'"
        ).fetchall()
        changed = 0
        for row_id, value in rows:
            record = json.loads(value) if value is not None else {}
            if "call" in record:
                record["call"] = change(record["call"])
                encoded = json.dumps(record, separators=(",", ":")).encode()
                connection.execute("UPDATE records SET value = ? WHERE id = ?", (encoded, row_id))
                changed += 1
    finally:
        connection.close()
    return changed


def as_version_1(call: Fields) -> Fields:
    """A call as the first version wrote it, of which tests/replay keeps real ones: no number, and `spoken` in legs."""
    legs = [{**leg, "spoken": 3} for leg in call.get("legs", ())]
    return {key: value for key, value in {**call, "legs": legs}.items() if key != "definition"}


def as_a_newer_version(call: Fields) -> Fields:
    """A call as a version yet to come might write it."""
    return {**call, "definition": DEFINITION + 1, "mood": "relieved"}


def states_of(journal: Path, call_id: str) -> list[bytes]:
    """The call in each of its state records."""
    connection = sqlite3.connect(f"file:{journal}?mode=ro", uri=True)
    try:
        query = "SELECT value FROM log WHERE topic = 'call.state' AND key = ? ORDER BY offset"
        rows = connection.execute(query, (call_id.encode(),)).fetchall()
    finally:
        connection.close()
    return [json.dumps(json.loads(value)["call"]).encode() for (value,) in rows if value is not None]


async def held_call(stack: Stack) -> Call:
    """A caller who talked to an agent and is on hold."""
    call = await stack.caller_dials()
    await call.reaches("waiting")
    assert await call.command("call.connect", to=AGENT) == ("applied", None)
    assert await call.command("call.hold") == ("applied", None)
    return call


async def test_a_running_call_survives_an_upgrade(tmp_path: Path) -> None:
    """A held call of the first version is resumed, transferred and ended by this one, and nobody is dialled twice."""
    async with Stack(tmp_path).journal() as stack:
        call, run, journal = await held_call(stack), stack.services["run"], tmp_path / "journal.db"
        assert run.stop() == 0
        assert rewrite_states(journal, as_version_1) > 5
        assert {definition_of(state) for state in states_of(journal, call.call_id)} == {1}

        await stack.ready(run.start())
        assert (await call.view())["state"] == "held"
        assert await call.command("call.resume") == ("applied", None)
        assert await call.command("call.transfer", mode="cold", targets=[OTHER]) == ("applied", None)
        assert await call.command("call.end") == ("applied", None)
        await call.reaches("ended")

        assert definition_of(states_of(journal, call.call_id)[-1]) == DEFINITION
        created = [
            one for one in await stack.rest("POST", "/Participants") if one["path"].endswith("/Participants.json")
        ]
        assert len(created) == 2
        assert "engine.calls_brought_up" in _log_of(tmp_path)


async def test_going_back_to_an_older_version_is_refused_and_undone(tmp_path: Path) -> None:
    """This version does not touch a newer one's calls and says whose they are; the newer one then goes on with them."""
    async with Stack(tmp_path).journal() as stack:
        call, run, journal = await held_call(stack), stack.services["run"], tmp_path / "journal.db"
        assert run.stop() == 0
        written = len(states_of(journal, call.call_id))
        rewrite_states(journal, as_a_newer_version)

        run.start()
        said = await until("the refusal", lambda: _not_ready(stack))
        assert f"call {call.call_id} was written by a newer version of Cordboard" in said
        assert "Start that version again" in said
        states = states_of(journal, call.call_id)
        assert len(states) == written
        assert all(b'"mood": "relieved"' in state for state in states)

        assert run.stop() == 0
        rewrite_states(journal, lambda one: {**one, "definition": DEFINITION})
        await stack.ready(run.start())
        assert await call.command("call.resume") == ("applied", None)


async def _not_ready(stack: Stack) -> str:
    """Why the engine is not ready, once that is known."""
    _, answer = await stack.request("GET", f"{stack.services['run'].ops}/readyz")
    said = json.dumps(answer)
    return said if "newer version" in said else ""


def _log_of(folder: Path) -> str:
    return (folder / "run.log").read_text()
