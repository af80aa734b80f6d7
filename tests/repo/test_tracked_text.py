"""What is published names no package registry, no path of somebody's machine, and holds no key."""

import re

import pytest

from checkout import text_files

# Written so that this file does not contain what it looks for.
_FORBIDDEN = {
    "the host of a package registry": re.compile(
        r"pypi[.]org|python[h]osted|npmjs[.]|maven[.](apache[.])?org|repo1[.]|deb[.]debian|proxy[.]golang|crates[.]io"
    ),
    "an address of a package index": re.compile(r"(?m)^\s*--(extra-)?index-url|^\s*--find[-]links"),
    "a path of one machine": re.compile(r"/wor[k]/\w|/hom[e]/[a-z]|/User[s]/[A-Z]"),
    "a private key": re.compile(r"BEGIN [A-Z ]*PRIVAT[E] KEY"),
}


@pytest.mark.parametrize("what", _FORBIDDEN)
def test_no_file_holds(what: str) -> None:
    """Addresses, machines and keys belong to the environment, never to the repository."""
    found = [
        f"{name}:{text.count(chr(10), 0, hit.start()) + 1}: {hit.group()}"
        for name, text in text_files().items()
        for hit in _FORBIDDEN[what].finditer(text)
    ]

    assert found == []


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("the host of a package registry", "see https://py" + "pi.org/project/aiokafka"),
        ("an address of a package index", "--index" + "-url https://example.com/simple"),
        ("a path of one machine", "cd /wor" + "k/main"),
        ("a private key", "-----BEGIN RSA PRIV" + "ATE KEY-----"),
    ],
)
def test_the_patterns_find_what_they_name(what: str, line: str) -> None:
    """Each pattern can fail."""
    assert _FORBIDDEN[what].search(line)
