"""The arrows of design.md section 10 hold, and each rule fires when it is broken."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from checkout import PACKAGES, ROOT

_RULES = [
    contract["id"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
]
# rule, the module that breaks it, and how
_VIOLATIONS = [
    ("layers", "ingress/bad.py", "import engine"),
    ("layers", "engine/bad.py", "import cordboard.app"),
    ("schemas", "schemas/bad.py", "import cordboard.errors"),
    ("shared", "cordboard/bad.py", "import ingress"),
    ("shared", "cordboard/bad.py", "import cordboard.app"),
    ("emulator", "emulator/bad.py", "import schemas"),
    ("core", "engine/core/bad.py", "import cordboard.errors"),
    ("core", "engine/core/bad.py", "import asyncio"),
    ("core", "engine/core/bad.py", "import structlog"),
    ("core", "engine/core/bad.py", "import engine.shell"),
    ("aiokafka", "engine/bad.py", "from aiokafka import AIOKafkaProducer"),
    ("twilio", "ingress/bad.py", "from twilio.rest import Client"),
]
_CLOCKS_AND_DICE = [
    "import time",
    "import random",
    "import secrets",
    "import datetime\n\nNOW = datetime.datetime.now()",
    "import datetime\n\nNOW = datetime.datetime.utcnow()",
    "from datetime import UTC, datetime\n\nNOW = datetime.now(UTC)",
    "from time import monotonic",
    "import uuid\n\nID = uuid.uuid4()",
    "from uuid import uuid4",
    "import os\n\nID = os.urandom(8)",
]


def test_the_import_rules_hold() -> None:
    """Nobody in this tree imports what it must not."""
    done = _lint_imports(ROOT)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("rule", "module", "statement"), _VIOLATIONS, ids=lambda value: value.split("\n")[0])
def test_a_violation_is_found(rule: str, module: str, statement: str, tmp_path: Path) -> None:
    """A small tree with the real rules and one forbidden import breaks exactly the rule that forbids it."""
    _small_tree(tmp_path)
    assert _lint_imports(tmp_path, rule).returncode == 0

    (tmp_path / module).write_text(statement + "\n")
    done = _lint_imports(tmp_path, rule)

    assert done.returncode == 1, done.stdout + done.stderr
    assert "BROKEN" in done.stdout


def test_every_rule_is_proved() -> None:
    """No rule stands in pyproject.toml without a violation above."""
    assert {rule for rule, _, _ in _VIOLATIONS} == set(_RULES)


@pytest.mark.parametrize("code", _CLOCKS_AND_DICE, ids=lambda code: code.rpartition("\n")[2])
def test_the_core_may_not_know_the_time_or_draw(code: str) -> None:
    """In engine/core every clock and every random id is refused; elsewhere they are fine."""
    assert "TID251" in _ruff(code, "engine/core/sub/bad.py")
    assert "TID251" in _ruff(code, "engine/core/bad.py")
    assert "TID251" not in _ruff(code, "engine/partition.py")


def _small_tree(root: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", root)
    modules = ["engine/core", "cordboard/app", "cordboard/log", *PACKAGES]
    for folder in modules:
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / "__init__.py").touch()
    for module in ("clock", "errors", "metrics", "settings"):
        (root / "cordboard" / f"{module}.py").touch()
    (root / "engine" / "shell.py").touch()


def _lint_imports(root: Path, rule: str | None = None) -> subprocess.CompletedProcess[str]:
    only = ["--contract", rule] if rule else []
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"]
    environment = {**os.environ, "PYTHONPATH": f"{root}:{ROOT / 'tests' / 'support'}", "NO_COLOR": "1"}
    return subprocess.run(
        [*command, "--no-cache", *only], cwd=root, env=environment, capture_output=True, text=True, check=False
    )


def _ruff(code: str, path: str) -> str:
    command = [sys.executable, "-m", "ruff", "check", "--output-format=concise", "--stdin-filename", path, "-"]
    return subprocess.run(command, cwd=ROOT, input=code, capture_output=True, text=True, check=False).stdout
