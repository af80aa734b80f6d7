"""The journal under fire: -9 at every named place, at torn writes and at random; nothing acknowledged is lost.

`make fire ROUNDS=10000` does the same for longer.
"""

from pathlib import Path

import pytest

from journal_fire.bugs import BUGS
from journal_fire.points import NAMES
from journal_fire.rounds import Fire

_ROUNDS_EACH = 4


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    """After every death the next opening finds each acknowledged record once, in order, with its owner and position."""
    with Fire(tmp_path) as fire:
        wrong = [(one.number, one.name, one.wrong) for one in fire.rounds(_ROUNDS_EACH * len(NAMES)) if one.wrong]

    assert wrong == []
    assert [name for name in NAMES if not fire.met[name]] == [], "no process has died there"
    assert fire.acknowledged > 1000


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("bug", BUGS)
def test_the_check_notices(bug: str, tmp_path: Path) -> None:
    """A journal that is wrong in this way does not come through."""
    with Fire(tmp_path, bug=bug) as fire:
        assert any(one.wrong for one in fire.rounds(2 * len(NAMES))), "the fault went unnoticed"
