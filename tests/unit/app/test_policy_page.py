"""The page about the policy file: every key is there, every example is loaded, every refusal is one."""

import re
from pathlib import Path

import pytest

from cordboard.errors import SettingsError
from cordboard.policies import RULES, read_policies
from schemas.policy import Policies

DOCS = Path(__file__).parents[3] / "docs"
TEXT = (DOCS / "policy.md").read_text(encoding="utf-8")
PREFACE, *_PARTS = re.split(r"(?m)^## `(\w+)`\n", TEXT)
SECTIONS = dict(zip(_PARTS[::2], _PARTS[1::2], strict=True))
_BLOCK = re.compile(r"(?ms)^(Refused, because (?P<why>[^\n]+):\n\n)?```toml\n(?P<text>.*?)^```$")


def examples(key: str) -> list[str]:
    """The TOML of a section that is to be taken."""
    return [found["text"] for found in _BLOCK.finditer(SECTIONS[key]) if not found["why"]]


def refusals(key: str) -> dict[str, str]:
    """The TOML of a section that is to be refused, by the reason that the page gives."""
    return {found["why"]: found["text"] for found in _BLOCK.finditer(SECTIONS[key]) if found["why"]}


def load(folder: Path, text: str) -> Policies:
    """The policies of a file with this text."""
    (folder / "policy.toml").write_text(text)
    return read_policies(folder / "policy.toml")


def test_every_key_has_its_section() -> None:
    """The keys of the page are those of the file, in their order."""
    assert list(SECTIONS) == list(RULES)


@pytest.mark.parametrize("key", RULES)
def test_what_is_allowed_is_said_as_the_start_says_it(key: str) -> None:
    """The page and the message of a refused start have the same words."""
    assert f"- Allowed: {RULES[key].allowed}\n" in SECTIONS[key]


@pytest.mark.parametrize("key", RULES)
def test_the_default_is_that_of_the_settings_page(key: str) -> None:
    """Both pages name the same default; the other one is made from the code."""
    row = re.search(rf"(?m)^\| `{key}` \| (.+?) \| ", (DOCS / "settings.md").read_text(encoding="utf-8"))

    assert row is not None
    assert f"- Default: {row[1]}\n" in SECTIONS[key]


@pytest.mark.parametrize("key", RULES)
def test_an_example_is_taken_and_changes_its_key(key: str, tmp_path: Path) -> None:
    """Each example loads as it stands, and sets its key to something else than the default."""
    [text] = examples(key)

    policies = load(tmp_path, text)

    changed = [policies.defaults, *policies.by_number.values()]
    assert any(getattr(policy, key) != getattr(Policies().defaults, key) for policy in changed)


@pytest.mark.parametrize(("key", "why", "text"), [(key, *pair) for key in RULES for pair in refusals(key).items()])
def test_what_is_shown_as_refused_is_refused(key: str, why: str, text: str, tmp_path: Path) -> None:
    """With the words of the page."""
    with pytest.raises(SettingsError) as refused:
        load(tmp_path, text)

    assert key in str(refused.value)
    assert why in str(refused.value)


def test_the_preface_is_an_example_too(tmp_path: Path) -> None:
    """A table changes only the keys that it names."""
    [block] = _BLOCK.finditer(PREFACE)

    policies = load(tmp_path, block["text"])

    assert policies.of("+15550100").max_wait == policies.of("+15550199").max_wait == "voicemail"
    assert policies.of("+15550100").ring_timeout_s == 15
