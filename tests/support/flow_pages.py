"""A page of docs/flows: what is written by hand, the flows to be played, and the page made from both."""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent

import msgspec

from cordboard.app.command_fields import data_of
from flow_ladder import ladder, typed
from flow_play import Play, Played, Sent
from flow_stage import Stage
from schemas.commands import type_of

FOLDER = Path(__file__).parents[2] / "docs" / "flows"
MADE = (
    "<!-- Made by `make flows` from recorded runs against the local Twilio; tests/integration/test_flow_pages.py "
    "plays them again. The words are in tests/support/flow_pages_*.py. -->"
)
HOW_TO_READ = (
    "Everything below was recorded, not drawn: the commands are what `cordboard send` printed, the diagram is what "
    "went over the wires. [How to read a page](README.md#how-to-read-a-page)."
)
_TIME = re.compile(r"^\d\d:\d\d:\d\d\.\d{3}\s+")
_DULL = (
    (re.compile(r" +(call_sid|duration_s|recording_sid|conference_sid|conversation_sid|service_sid|task_sid)=\S+"), ""),
    (re.compile(r"⟵ action \S+ (\w+)"), r"⟵ action \1"),
    (re.compile(r"⟵ command [0-9a-f]{32}"), "⟵ its command"),
    (re.compile(r"\b(CF|RE)[0-9a-f]{32}\b"), r"\1…"),
)


class Flow(msgspec.Struct, frozen=True):
    """One run: what it shows, the policy that it needs, and what people and services do in it."""

    title: str
    text: str
    play: Callable[[Play], Awaitable[None]]
    policy: str = ""


class Ending(msgspec.Struct, frozen=True):
    """One way in which it can end. `shown` is the title of a flow of the page, or `path::test` below tests/."""

    ending: str
    seen: str
    result: str
    shown: str


class Page(msgspec.Struct, frozen=True):
    """A page: its file's name without the suffix, its words, its flows, and all its endings."""

    name: str
    title: str
    text: str
    flows: tuple[Flow, ...]
    endings: tuple[Ending, ...]


@asynccontextmanager
async def staged(policy: str = "") -> AsyncIterator[Stage]:
    """A stage in a folder of its own."""
    with TemporaryDirectory(prefix="flow") as folder:
        async with Stage(Path(folder), policy) as stage:
            yield stage


async def play_all(page: Page, plain: Stage) -> list[Played]:
    """Play the flows of a page: on `plain`, or where they have a policy, on a stage with it."""
    played: list[Played] = []
    for policy, flows in groupby(page.flows, key=lambda flow: flow.policy):
        async with staged(policy) if policy else nullcontext(plain) as stage:
            played += [await _play(flow, stage) for flow in flows]
    return played


async def _play(flow: Flow, stage: Stage) -> Played:
    play = Play(stage)
    await flow.play(play)
    return await play.over()


def page_of(page: Page, played: list[Played]) -> str:
    """The page's text."""
    parts = [f"# {page.title}", MADE, _prose(page.text), HOW_TO_READ]
    for flow, run in zip(page.flows, played, strict=True):
        parts += _section(flow, run)
    parts += ["## Endings", _endings(page)]
    return "\n\n".join(parts) + "\n"


def _section(flow: Flow, played: Played) -> list[str]:
    parts = [f"## {flow.title}", _prose(flow.text)]
    if flow.policy:
        parts += ["With this policy:", _block("toml", flow.policy.strip())]
    if played.sent:
        parts += [
            _block("console", "\n".join(_session(played, sent) for sent in played.sent)),
            "The same as CloudEvents:",
        ]
        parts += [_block("json", "\n".join(cloud_event(sent) for sent in played.sent))]
    parts += [_block("mermaid", "\n".join(ladder(played)))]
    return [*parts, "What `cordboard call $CALL` tells of it, without the times:", _block("", timeline(played))]


def _prose(text: str) -> str:
    return dedent(text).strip()


def _block(kind: str, text: str) -> str:
    return f"```{kind}\n{text}\n```"


def _session(played: Played, sent: Sent) -> str:
    printed = sent.printed.replace(played.call_id, "$CALL").rstrip()
    return f"$ {typed(sent)}\n{printed}"


def cloud_event(sent: Sent) -> str:
    """The command as another service would publish it. `id` is the sender's own, new for each command."""
    data = json.loads(data_of(sent.name, None, sent.words))
    event = {"specversion": "1.0", "id": "…", "source": "/your-service", "type": type_of(sent.name)}
    subject = {} if sent.name == "call.dial" else {"subject": "$CALL"}
    return json.dumps({**event, **subject, "data": data}, ensure_ascii=False)


def timeline(played: Played) -> str:
    """The lines of the timeline, without what is different every time."""
    text = "\n".join(_TIME.sub("", line).rstrip() for line in played.timeline)
    for pattern, instead in _DULL:
        text = pattern.sub(instead, text)
    for sid, leg in played.legs.items():
        text = text.replace(sid, leg)
    return text.replace(played.call_id, "$CALL")


def _endings(page: Page) -> str:
    titles = {flow.title for flow in page.flows}
    rows = ["| ending | how it is seen | result of the command | shown by |", "|---|---|---|---|"]
    for one in page.endings:
        shown = f"[{one.shown}](#{_anchor(one.shown)})" if one.shown in titles else f"`{one.shown}`"
        rows.append(f"| {one.ending} | {one.seen} | {one.result} | {shown} |")
    return "\n".join(rows)


def _anchor(title: str) -> str:
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
