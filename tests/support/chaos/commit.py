"""Which Cordboard runs."""

import subprocess
from pathlib import Path

_ROOT = Path(__file__).parents[3]
_WRITTEN_BY_RUNS = "docs/reliability-report.md"


def running_commit() -> str:
    """The commit that is checked out, and whether there is more than what is checked in."""
    commit = _git("rev-parse", "--short=12", "HEAD").strip() or "unknown commit"
    changed = [line for line in _git("status", "--porcelain").splitlines() if not line.endswith(_WRITTEN_BY_RUNS)]
    return f"{commit}{' with local changes' if changed else ''}"


def _git(*words: str) -> str:
    return subprocess.run(["git", "-C", str(_ROOT), *words], capture_output=True, text=True, check=False).stdout
