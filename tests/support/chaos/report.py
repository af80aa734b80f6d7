"""The page about what chaos has shown: a section for each number of brokers, written by the run itself."""

import os
import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

from chaos.figures import Figures
from chaos.running import Done
from checker.judging import Violation
from cordboard.log.kafka_settings import KafkaTimes
from kafka_jars import KAFKA_VERSION
from schemas.results import Outcome

_HEAD = """# The reliability report

What `make chaos` has shown on real Kafka: services as processes, the local Twilio under load, and things going wrong
([chaos.md](chaos.md) says how). Each section was written by the run that it tells of, its last one with that many
brokers; nothing here is edited by hand.
"""


def write(path: Path, done: Done, figures: Figures, violations: Sequence[Violation]) -> None:
    """Put the run's section in the place of the one before."""
    sections = _sections(path.read_text() if path.exists() else "")
    title = "One broker" if done.options.brokers == 1 else "Three brokers"
    sections[title] = _section(done, figures, violations)
    body = "".join(f"\n## {name}\n{sections[name]}" for name in sorted(sections))
    path.write_text(_HEAD + body)


def _sections(text: str) -> dict[str, str]:
    parts = re.split(r"(?m)^## (.+)\n", text)[1:]
    return {title: body.rstrip("\n") + "\n" for title, body in zip(parts[::2], parts[1::2], strict=True)}


def _section(done: Done, figures: Figures, violations: Sequence[Violation]) -> str:
    broken = "".join(f"- `{found.invariant}`: {found.what[:300]}\n" for found in violations)
    return "\n".join(
        [
            "",
            _verdict(figures, violations),
            *(["", broken.rstrip()] if broken else []),
            "",
            _table("the run", _settings(done)),
            _table("what went wrong", sorted(done.blows.items())),
            _table("what came of it", _outcome(done, figures)),
            _table("commands answered, applied", _answers(figures)),
            _table("take-over of an engine's partitions, seconds", _takeovers(done)),
        ]
    )


def _verdict(figures: Figures, violations: Sequence[Violation]) -> str:
    words = "**Invariants were broken, below.**" if violations else "**Every invariant held.**"
    return (
        f"{words} {figures.acknowledged:,} webhooks acknowledged, {figures.lost} of them lost; "
        f"{figures.created:,} calls created, {figures.twice} of them twice."
    )


def _table(title: str, rows: Sequence[tuple[str, object]]) -> str:
    lines = [f"| {title} | |", "|---|---|", *(f"| {name} | {_shown(value)} |" for name, value in rows)]
    return "\n".join(lines) + "\n"


def _shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _settings(done: Done) -> list[tuple[str, object]]:
    options = done.options
    cluster = "replication factor 3, min.insync.replicas 2" if options.brokers > 1 else "replication factor 1"
    return [
        ("date", datetime.fromtimestamp(done.load_began, UTC).strftime("%Y-%m-%d %H:%M UTC")),
        ("Cordboard", done.commit),
        ("Kafka", f"{KAFKA_VERSION}, {options.brokers} broker(s) on this machine, {cluster}"),
        ("Python, aiokafka", f"{platform.python_version()}, {version('aiokafka')}"),
        ("machine", f"{os.cpu_count()} cores for brokers, services, local Twilio and driver together"),
        ("services", "2 ingress behind a balancer, 2 engine, 2 actions; 8 partitions"),
        ("asked for", f"`{_words(done)}`"),
        ("load", f"{done.begun:,} calls in {(done.load_ended - done.load_began) / 60:.1f} minutes"),
    ]


def _words(done: Done) -> str:
    o = done.options
    return (
        f"make chaos WEBHOOKS={o.webhooks} KILLS={o.kills} BROKERS={o.brokers} SEED={o.seed} RATE={o.rate:g} "
        f"AT_ONCE={o.at_once} MINUTES={o.minutes:g}"
    )


def _outcome(done: Done, figures: Figures) -> list[tuple[str, object]]:
    load_s = done.load_ended - done.load_began
    said = done.facts.said.events
    return [
        ("webhooks that Twilio told of", figures.told),
        ("… acknowledged", f"{figures.acknowledged:,} ({figures.acknowledged / load_s:.0f} a second)"),
        ("… attempts", figures.attempts),
        ("… given up by Twilio after its retries, never acknowledged", figures.given_up),
        ("… **acknowledged and lost**", f"**{figures.lost}**"),
        ("… more than once in the inbox, suppressed by their id", figures.doubled),
        ("inbox records, state records", f"{figures.inbox:,}, {figures.states:,}"),
        ("actions", figures.actions),
        ("calls created at Twilio", figures.created),
        ("… **twice for one action**", f"**{figures.twice}**"),
        ("… twice after a doubt, where the policy allows it (an agent's own device)", figures.again),
        ("actions reported `unknown`", figures.unknown),
        ("callers in TaskRouter's queue, with a worker", f"{figures.enqueued:,}, {figures.served:,}"),
        ("commands acknowledged, answered", f"{figures.commands:,}, {figures.results:,}"),
        ("dead letters (`unplaced`: of calls that never came)", figures.dead_letters),
        ("rebalances that claims show", figures.generations),
        ("partitions taken (claims)", figures.claims),
        ("partitions stopped by an error or a fence", said["ownership.partition_stopped"]),
        ("longest time one partition stood still", f"{figures.gap_s:.1f} s"),
        ("longest time all stood still", f"{figures.silence_s:.1f} s"),
        ("nothing behind after the last fault", f"within {done.healed_in_s:.1f} s"),
        ("the run's own links or local Twilio stood still, at the longest", _longest_stall(done)),
        ("calls with a callback given up, left out when both sides were compared", done.lost_calls),
    ]


def _answers(figures: Figures) -> list[tuple[str, object]]:
    """What is not applied came too late, or was refused: a call that has ended, somebody who does not answer."""
    names = sorted({name for name, _ in figures.answers})
    every = {name: sum(count for (of, _), count in figures.answers.items() if of == name) for name in names}
    return [(f"`{name}`", f"{every[name]:,}, {figures.answers[name, Outcome.APPLIED]:,}") for name in names]


def _longest_stall(done: Done) -> str:
    return f"{max((stall.seconds for stall in done.facts.stalls), default=0.0):.1f} s"


def _takeovers(done: Done) -> list[tuple[str, object]]:
    times = KafkaTimes()
    after = f"session timeout {times.session_s:g} s, heartbeat {times.heartbeat_s:g} s"
    return [
        (f"after kill -9 ({after}), aim 12", _spread(done.takeovers.killed_s)),
        ("planned, SIGTERM, aim 0.5", _spread(done.takeovers.planned_s)),
    ]


def _spread(times: Sequence[float]) -> str:
    if not times:
        return "not measured"
    return f"median {median(times):.2f}, worst {max(times):.2f} of {len(times)}"
