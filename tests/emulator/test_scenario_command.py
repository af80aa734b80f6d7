"""``cordboard emulator scenario FILE`` plays a scenario and ends with its exit code."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from emulator_bench import CALLER, NUMBER, Bench

COMMAND = str(Path(sys.executable).with_name("cordboard"))
PLAY = f"""
title = "Somebody calls and hangs up"

[[step]]
call = {{ from = "{CALLER}", to = "{NUMBER}" }}
name = "caller"

[[step]]
expect = "call.in-progress"
of = "caller"

[[step]]
hang_up = "caller"

[[step]]
expect = "call.ENDED"
of = "caller"
within_s = 0.5
"""


@pytest.mark.parametrize(("ended", "code"), [("completed", 0), ("busy", 1)])
async def test_the_command(bench: Bench, tmp_path: Path, ended: str, code: int) -> None:
    """Every step is told; a step that does not go as written ends the command with 1."""
    bench.site.pages["/voice"] = "<Response><Pause length='60'/></Response>"
    await bench.control("PUT", f"/numbers/{NUMBER}", {"voice_url": bench.url("/voice")})
    file = tmp_path / "play.toml"
    file.write_text(PLAY.replace("ENDED", ended))
    process = await asyncio.create_subprocess_exec(
        COMMAND, "emulator", "scenario", str(file), "--emulator", bench.emulator.url, stdout=PIPE, stderr=PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == code, (out, err)
    assert b"Somebody calls and hangs up" in out


async def test_a_file_that_is_not_there() -> None:
    """A missing file is a wrong use of the command: exit code 2."""
    process = await asyncio.create_subprocess_exec(COMMAND, "emulator", "scenario", "/nowhere.toml", stderr=PIPE)
    _, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, b"does not exist" in err) == (2, True)
