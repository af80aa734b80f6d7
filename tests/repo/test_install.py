"""What the image does works on this machine: the runtime lock and the wheel alone give a running program."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from checkout import PACKAGES, ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

_IMPORT_ALL = """
import importlib, pkgutil, sys
for package in sys.argv[1:]:
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
"""
_COMPILED = """
from aiohttp.http_parser import HttpRequestParser, HttpRequestParserPy
from aiokafka.codec import has_zstd
import aiokafka.record._crecords
assert HttpRequestParser is not HttpRequestParserPy
assert has_zstd()
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install as the Dockerfile does, into a new environment; give its bin folder."""
    home = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(home)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", str(home / "venv")], check=True)
    pip = [str(home / "venv" / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
    locked = _try([*pip, "--require-hashes", "-r", str(ROOT / "requirements" / "runtime.txt")])
    if locked.returncode != 0 and not os.environ.get("CI"):
        pytest.skip(f"the runtime lock could not be installed, is there a network? {locked.stderr[-300:]}")
    assert locked.returncode == 0, locked.stderr
    wheel = _try([*pip, "--no-deps", "--no-index", str(next(home.glob("*.whl")))])
    assert wheel.returncode == 0, wheel.stderr
    return home / "venv" / "bin"


def test_every_module_can_be_imported(installed: Path, tmp_path: Path) -> None:
    """No module needs a development dependency or a file that is not shipped."""
    done = _try([str(installed / "python"), "-W", "error", "-c", _IMPORT_ALL, *PACKAGES], cwd=tmp_path)

    assert done.returncode == 0, done.stderr


def test_the_command_line_answers(installed: Path, tmp_path: Path) -> None:
    """`cordboard --help` names the services that the compose file starts."""
    done = _try([str(installed / "cordboard"), "--help"], cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert {"run", "ingress", "engine", "actions", "observe", "emulator", "topics"} <= set(done.stdout.split())


def test_the_fast_parsers_are_there(installed: Path, tmp_path: Path) -> None:
    """The C parser of aiohttp, which has the security fixes, C records for aiokafka, and zstd come with the lock."""
    done = _try([str(installed / "python"), "-c", _COMPILED], cwd=tmp_path)

    assert done.returncode == 0, done.stderr


def _try(command: list[str], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
