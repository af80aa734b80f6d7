"""The README as data: its terminal sessions, its example programs, its other blocks."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

README = Path(__file__).parents[2] / "README.md"
ANYTHING = "…"
_BLOCK = re.compile(r"(?:<!-- (?P<file>\S+) -->\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_VARYING = (
    (re.compile(r"\b(CA|CF)[0-9a-f]{32}\b"), r"\1…"),
    (re.compile(r"\b\d\d:\d\d:\d\d\.\d{3}\b"), "TIME"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "ID"),
    (re.compile(r"\bduration_s=[0-9.]+"), "duration_s=N"),
    (re.compile(r"─+"), "─"),
    (re.compile(r"\s+"), " "),
)


def call_id_in(line: str) -> str:
    """The id of the call that a line is about."""
    found = re.search(r"CA[0-9a-f]{32}", line)
    assert found is not None, line
    return found[0]


class Block(msgspec.Struct, frozen=True):
    """A fenced block: its language, its text, and the file that it is shown as."""

    kind: str
    text: str
    file: str | None


class Typed(msgspec.Struct, frozen=True):
    """A line typed in a terminal session, and what is shown below it."""

    line: str
    shown: tuple[str, ...]


def blocks(text: str) -> list[Block]:
    """Every fenced block, in order."""
    return [Block(found["kind"], found["text"], found["file"]) for found in _BLOCK.finditer(text)]


def sessions(text: str) -> Iterator[Typed]:
    """Every line typed in a `console` block."""
    for block in blocks(text):
        if block.kind == "console":
            for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
                line, *shown = part.splitlines()
                yield Typed(line, tuple(shown))


def plain(line: str) -> str:
    """A line without what is different every time: ids, times, widths."""
    for pattern, word in _VARYING:
        line = pattern.sub(word, line)
    return line.strip()


def shows(shown: Sequence[str], real: Sequence[str]) -> bool:
    """Whether `real` lines are what was `shown`: a line `…` is any number of lines, ` …` at an end any text."""
    if not shown:
        return not real
    if shown[0] == ANYTHING:
        return any(shows(shown[1:], real[skipped:]) for skipped in range(len(real) + 1))
    return bool(real) and _is_like(shown[0], real[0]) and shows(shown[1:], real[1:])


def _is_like(shown: str, real: str) -> bool:
    if shown.endswith(f" {ANYTHING}"):
        return plain(real).startswith(plain(shown.removesuffix(ANYTHING)))
    return plain(shown) == plain(real)
