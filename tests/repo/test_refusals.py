"""Where a rule of the linter is put aside the reason stands beside it."""

import re

from checkout import ROOT, python_sources

_INLINE = re.compile(r"# noqa(?::\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*)?\s*$")
_DECLARED = re.compile(r'^\s*"[A-Z]+\d*",\s*$')


def _unexplained(text: str) -> list[int]:
    return [number for number, line in enumerate(text.splitlines(), 1) if _INLINE.search(line)]


def test_every_line_that_is_exempt_says_why() -> None:
    """A reader need not guess whether it was meant."""
    assert {name: lines for name, text in python_sources().items() if (lines := _unexplained(text))} == {}


def test_every_rule_that_is_off_says_why() -> None:
    """In pyproject.toml each stands on a line of its own, with its reason."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")

    assert [line for line in text.splitlines() if _DECLARED.search(line)] == []


def test_an_exemption_without_a_reason_is_found() -> None:
    """The check can fail."""
    bare, told = "x = 1  # no" + "qa: ARG001, S101", "x = 1  # no" + "qa: ARG001 one signature for all"

    assert _unexplained(f"{told}\n{bare}\nx = 1  # no" + "qa") == [2, 3]
    assert _DECLARED.search('    "D105",')
