"""The repository as tests about itself see it: its root, its files, its own Python sources."""

import subprocess
from functools import cache
from pathlib import Path

__all__ = ["PACKAGES", "ROOT", "python_sources", "text_files"]

ROOT = Path(__file__).parents[2]
PACKAGES = ("schemas", "ingress", "engine", "actions", "observe", "cordboard", "emulator")


@cache
def text_files() -> dict[str, str]:
    """Map the path of every text file that git tracks, or would, to its text. Raises `OSError` outside a checkout."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        message = f"not a git checkout: {done.stderr.strip()}"
        raise OSError(message)
    read = {name: _text(ROOT / name) for name in done.stdout.split("\0") if name}
    return {name: text for name, text in read.items() if text is not None}


def python_sources() -> dict[str, str]:
    """Map the path of every Python file of ours, tests and benchmarks too, to its text."""
    return {name: text for name, text in text_files().items() if name.endswith(".py")}


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
        return None  # binary, or being moved while we look
