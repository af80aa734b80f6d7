"""Twilio's own Node client finds every resource as it expects it; it is installed into pytest's cache."""

import asyncio
import json
import os
import shutil
import subprocess
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from emulator_bench import ACCOUNT, NUMBER, TOKEN
from emulator_center import Center

PACKAGE = "twilio@5.13.1"
SCRIPT = Path(__file__).parents[1] / "support" / "node" / "tour.js"
PATIENCE_S = 180
LONG = "<Response><Pause length='60'/></Response>"


@pytest.fixture(scope="session")
def node_modules(request: pytest.FixtureRequest) -> Path:
    """The folder with Twilio's Node client; without npm or a network the tests are skipped and say why."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("node and npm are not installed")
    folder = Path(request.config.cache.mkdir("twilio-node"))
    if (folder / "node_modules" / "twilio" / "package.json").exists():
        return folder / "node_modules"
    order = [npm, "install", "--no-audit", "--no-fund", "--fetch-retries=0", "--prefix", str(folder), PACKAGE]
    try:
        done = subprocess.run(order, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm install {PACKAGE} took longer than {PATIENCE_S} s")
    if done.returncode != 0:
        pytest.skip(f"npm install {PACKAGE} failed: {(done.stderr.strip() or 'no reason given').splitlines()[0]}")
    return folder / "node_modules"


@pytest.mark.timeout(PATIENCE_S + 60)
async def test_every_resource_by_the_node_client(center: Center, node_modules: Path) -> None:
    """Each resource works with Twilio's Node client; its walk ends without an error."""
    bench = center.bench
    bench.site.pages["/long"] = LONG
    caller = await bench.caller_in("node")
    queued = await bench.caller("<Response><Enqueue>waiting</Enqueue></Response>")
    queues = bench.emulator.world.queues
    await bench.until(lambda: queues.member(queued), "the caller in the queue")
    (queue,) = queues.by_sid
    places = [center.sid, NUMBER, bench.site.url, caller, bench.room("node").sid, queued, queue]
    process = await asyncio.create_subprocess_exec(
        "node",
        str(SCRIPT),
        bench.emulator.url,
        ACCOUNT,
        TOKEN,
        *places,
        stdout=PIPE,
        stderr=PIPE,
        env={**os.environ, "NODE_PATH": str(node_modules)},
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, err.decode()
    assert len(json.loads(out)["visited"]) > 40
