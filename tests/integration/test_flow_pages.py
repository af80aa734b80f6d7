"""The pages of docs/flows are what comes out when their flows are played; what they promise is there."""

import ast
import json
import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import structlog

from flow_book import PAGES
from flow_pages import FOLDER, Page, page_of, play_all, staged, timeline
from flow_play import Play
from flow_stage import Stage
from schemas.commands import COMMANDS, decode_data, type_of

TESTS = Path(__file__).parents[1]
WRITTEN_BY_HAND = {"README", "recording", "supervision"}
_PLAYS = 3
_ACTOR = r"(?:T|C|S|(?:customer|agent|target|third|ai|supervisor)_\d+)"
_MERMAID = re.compile(
    rf"sequenceDiagram|  (?:actor|participant) {_ACTOR} as \S.*|  {_ACTOR}--?>>{_ACTOR}: [^;#]+|  Note over C: [^;#]+"
    r"|  Note over T,C: [^;#]+"
)


@pytest.fixture(autouse=True)
def _quiet() -> None:
    """The local Twilio of these tests lives in this process, and would log every step."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))


def blocks(page: Page, kind: str) -> list[str]:
    """The fenced blocks of a kind in the page as it lies there."""
    text = (FOLDER / f"{page.name}.md").read_text(encoding="utf-8")
    return re.findall(rf"(?ms)^```{kind}\n(.*?)\n```$", text)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plain() -> AsyncIterator[Stage]:
    """One Cordboard for all flows that need no policy."""
    async with staged() as stage:
        yield stage


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", PAGES)
async def test_a_page_is_what_comes_out(name: str, plain: Stage) -> None:
    """Played again, every command of the page ends as the page says, and the page is the same; else: make flows.

    A timer is nobody's to hold back: where the machine is so busy that one falls due in the middle of something else,
    the story is a true one in another order, and is played again.
    """
    written, told = (FOLDER / f"{name}.md").read_text(encoding="utf-8"), ""
    for _ in range(_PLAYS):
        played = await play_all(PAGES[name], plain)
        for sent in (sent for run in played for sent in run.sent):
            assert (sent.code == 0) == sent.printed.startswith(f"{sent.name} applied"), sent
            assert sent.printed.startswith(f"{sent.name} "), sent
        told = page_of(PAGES[name], played)
        if told == written or sorted(told.splitlines()) != sorted(written.splitlines()):
            break
    assert told == written


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.asyncio(loop_scope="module")
async def test_the_timeline_is_what_the_command_line_prints(plain: Stage) -> None:
    """The page leaves out the times and ids of `cordboard call`, and no line."""
    play = Play(plain)
    await play.dials_in()
    await play.sends("call.end")
    played = await play.over()
    printed = await play.prints("call", play.call.call_id)

    lines = [line for line in printed.splitlines() if re.match(r"\d\d:\d\d:\d\d", line)]
    assert played.timeline == lines[: len(played.timeline)]
    assert "customer-1  ringing → joined" in timeline(played)


@pytest.mark.parametrize("name", PAGES)
def test_every_ending_is_shown(name: str) -> None:
    """Each row of the endings names a flow of the page or a test that is there."""
    titles = {flow.title for flow in PAGES[name].flows}

    missing = [one.shown for one in PAGES[name].endings if one.shown not in titles and not _is_test(one.shown)]

    assert PAGES[name].endings
    assert missing == []


def _is_test(shown: str) -> bool:
    path, _, test = shown.partition("::")
    file = TESTS / path
    if not file.is_file():
        return False
    tree = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == test for node in tree)


@pytest.mark.parametrize("name", PAGES)
def test_diagrams_are_mermaid(name: str) -> None:
    """One diagram for each flow; every line is one of the few forms that are used, between actors that are declared."""
    diagrams = blocks(PAGES[name], "mermaid")

    assert len(diagrams) == len(PAGES[name].flows)
    for diagram in diagrams:
        assert [line for line in diagram.splitlines() if not _MERMAID.fullmatch(line)] == []
        declared = set(re.findall(r"(?m)^  (?:actor|participant) (\S+) as", diagram))
        spoken = {actor for pair in re.findall(r"(?m)^  (\w+?)--?>>(\w+):", diagram) for actor in pair}
        assert spoken <= declared


@pytest.mark.parametrize("name", PAGES)
def test_cloud_events_are_commands(name: str) -> None:
    """Every JSON line of a page is a CloudEvent of a command whose data is read as it stands."""
    events: list[dict[str, Any]] = [
        json.loads(line) for block in blocks(PAGES[name], "json") for line in block.splitlines()
    ]
    names = {type_of(command): command for command in COMMANDS}

    for event in events:
        assert {"specversion", "id", "source", "type", "data"} <= event.keys()
        decode_data(names[event["type"]], json.dumps(event["data"]).encode())


def test_every_page_is_made_or_known() -> None:
    """No page lies there that nothing makes, and each one is in the index."""
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    there = {path.stem for path in FOLDER.glob("*.md")}

    assert set(PAGES) <= there <= set(PAGES) | WRITTEN_BY_HAND
    assert [name for name in sorted(there - {"README"}) if f"({name}.md)" not in index] == []


def test_the_forms_of_a_diagram_can_be_told_from_others() -> None:
    """The check can fail: an undeclared form, a semicolon and a hash are found."""
    assert _MERMAID.fullmatch("  T->>C: /v1/voice/twiml customer-1")
    assert not _MERMAID.fullmatch("  T->>C: one; two")
    assert not _MERMAID.fullmatch("  loop forever")
