"""The wheel is complete: what is installed from it is what was tested."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from checkout import PACKAGES, ROOT, text_files


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Build the wheel as `pip install` would."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return zipfile.ZipFile(next(out.glob("cordboard-*.whl")))


def test_the_wheel_holds_every_file_of_every_package(wheel: zipfile.ZipFile) -> None:
    """No module and no data file, generated schemas too, is left behind."""
    ours = {name for name in text_files() if Path(name).parts[0] in PACKAGES}

    assert ours
    assert ours - set(wheel.namelist()) == set()


def test_the_wheel_holds_nothing_else(wheel: zipfile.ZipFile) -> None:
    """Tests, benchmarks and this machine's files are not shipped."""
    roots = {Path(name).parts[0] for name in wheel.namelist()}

    assert {root for root in roots if not root.endswith(".dist-info")} <= set(PACKAGES)


def test_the_wheel_brings_the_command(wheel: zipfile.ZipFile) -> None:
    """`cordboard` is on the PATH after an install."""
    entry_points = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))

    assert b"cordboard = cordboard.app.cli:main" in wheel.read(entry_points)
