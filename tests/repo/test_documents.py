"""The documents about the project keep their form."""

import re

from checkout import ROOT

_A_PAGE = 60


def test_the_changelog_has_a_place_for_what_comes() -> None:
    """Readers find unreleased changes at the top, under the headings of Keep a Changelog."""
    text = (ROOT / "CHANGELOG.md").read_text()
    versions = re.findall(r"(?m)^## (.+)$", text)
    kinds = set(re.findall(r"(?m)^### (.+)$", text))

    assert versions[0] == "Unreleased"
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_decisions_are_short_and_complete() -> None:
    """Each says in under a page what was decided, why, what follows, and what would change our mind."""
    decisions = sorted((ROOT / "docs" / "decisions").glob("[0-9][0-9][0-9]-*.md"))

    assert decisions
    for decision in decisions:
        text = decision.read_text()
        assert len(text.splitlines()) <= _A_PAGE, decision.name
        headings = re.findall(r"(?m)^## (.+)$", text)
        assert headings == ["Context", "Decision", "Consequences", "What would change our mind"], decision.name


def test_a_number_names_one_decision() -> None:
    """Each number is given once; tens keep decisions about one part together, so there are gaps."""
    numbers = [path.name[:3] for path in (ROOT / "docs" / "decisions").glob("[0-9][0-9][0-9]-*.md")]

    assert [number for number in numbers if numbers.count(number) > 1] == []


def test_the_makefile_explains_every_target() -> None:
    """`make` alone lists every target that one may call."""
    text = (ROOT / "Makefile").read_text()
    phony = set(re.findall(r"(?m)^\.PHONY: (.+)$", text)[0].split())

    assert set(re.findall(r"(?m)^([a-z]+):.*## ", text)) == phony
