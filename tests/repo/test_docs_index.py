"""The index of the documents names them all, and leads nowhere else."""

import re

from checkout import ROOT

_DOCS = ROOT / "docs"
_INDEXES = ("README.md", "flows/README.md", "policy.md")
_LINK = re.compile(r"\]\(((?!https?:)[^)\s]+)\)")


def _anchors(text: str) -> set[str]:
    headings = re.findall(r"(?m)^#+ (.+)$", text)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _broken(page: str, text: str) -> list[str]:
    broken = []
    for link in _LINK.findall(text):
        path, _, anchor = link.partition("#")
        target = (_DOCS / page).parent / path if path else _DOCS / page
        if not target.exists() or (anchor and anchor not in _anchors(target.read_text(encoding="utf-8"))):
            broken.append(f"{page}: {link}")
    return broken


def test_every_link_leads_somewhere() -> None:
    """Files are there, and headings in them."""
    assert [link for page in _INDEXES for link in _broken(page, (_DOCS / page).read_text(encoding="utf-8"))] == []


def test_links_of_the_flows_lead_somewhere() -> None:
    """Endings lead to the flow that shows them."""
    pages = [f"flows/{path.name}" for path in (_DOCS / "flows").glob("*.md")]

    assert [link for page in pages for link in _broken(page, (_DOCS / page).read_text(encoding="utf-8"))] == []


def test_everything_is_in_the_index() -> None:
    """No page and no folder of documents lies there unnamed."""
    text = (_DOCS / "README.md").read_text(encoding="utf-8")
    named = {link.partition("#")[0].partition("/")[0] for link in _LINK.findall(text)}
    there = {path.name for path in _DOCS.iterdir() if not path.name.startswith(("_", "README"))}

    assert there - named == set()


def test_every_decision_is_in_the_index() -> None:
    """Each page of docs/decisions has its line, and each line its page."""
    folder = _DOCS / "decisions"
    named = set(_LINK.findall((folder / "README.md").read_text(encoding="utf-8")))

    assert named == {path.name for path in folder.glob("*.md")} - {"README.md"}


def test_a_broken_link_is_found() -> None:
    """The check can fail: for a file and for a heading."""
    assert _broken("README.md", "[a](nowhere.md) [b](policy.md#no-such-heading) [c](policy.md)") == [
        "README.md: nowhere.md",
        "README.md: policy.md#no-such-heading",
    ]
