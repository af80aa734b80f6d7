"""The README is run: its sessions, its examples, its settings. What it shows is what comes."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cordboard.policies import read_policies
from cordboard.settings_checks import load_settings
from free_ports import free_ports
from house import AGENT, House
from kafka_broker import KafkaBroker
from readme import README, blocks, call_id_in, plain, sessions, shows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

TEXT = README.read_text(encoding="utf-8")
EXAMPLES = {block.file: block.text for block in blocks(TEXT) if block.file}
BIN = Path(sys.executable).parent
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """All of Cordboard with the local Twilio, on free ports."""
    with House(tmp_path_factory.mktemp("house")) as running:
        yield running


def environment(house: House, **more: str) -> dict[str, str]:
    """Where this house is instead of the default ports, the README's own PATH, and nothing else of ours."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CORDBOARD_")}
    ours = {"CORDBOARD_OPS_BIND": house.ops.removeprefix("http://"), "OPS_URL": house.ops}
    return {**clean, **ours, "PATH": f"{BIN}{os.pathsep}{clean['PATH']}", **more}


def run(words: list[str], folder: Path, env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """A command to its end."""
    return subprocess.run(
        words, cwd=folder, env=env, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=PATIENCE_S, check=False,
    )  # fmt: skip


def test_the_sessions_show_what_comes(house: House, tmp_path: Path) -> None:
    """Every typed line is run in the order of the README, and its output is the README's but for ids and times."""
    export, calling, *rest = list(sessions(TEXT))
    env = environment(house)
    shown_id = call_id_in(calling.shown[0])
    assert export.line == "export PATH=$PWD/.venv/bin:$PATH"
    assert len(rest) >= 10

    words = [*shlex.split(calling.line), "--emulator", house.emulator]
    with subprocess.Popen(
        words, cwd=tmp_path, env=env, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as caller:  # fmt: skip
        assert caller.stdout is not None
        try:
            first = caller.stdout.readline()
            call_id = call_id_in(first)
            house.until(call_id, "waiting")
            for typed in rest:
                done = run(shlex.split(typed.line.replace(shown_id, call_id)), tmp_path, env)
                assert shows(typed.shown, done.stdout.splitlines()), f"$ {typed.line}\n{done.stdout}"
            heard = f"{first}{caller.stdout.read()}".replace(house.emulator, "http://127.0.0.1:8090").splitlines()
        finally:
            caller.terminate()

    assert shows(calling.shown, heard), "\n".join(heard)


def test_what_run_prints_is_shown(house: House, tmp_path: Path) -> None:
    """The block below `make run` is what `cordboard run --local-twilio` prints, on the default ports."""
    shown = next(block.text for block in blocks(TEXT) if block.text.startswith("Cordboard runs"))
    del house
    ingress, ops, emulator = free_ports(3)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CORDBOARD_")}
    env = {**clean, "CORDBOARD_INGRESS_BIND": f"127.0.0.1:{ingress}", "CORDBOARD_OPS_BIND": f"127.0.0.1:{ops}"}
    words = [str(BIN / "cordboard"), "run", "--local-twilio", "--emulator-bind", f"127.0.0.1:{emulator}"]
    with subprocess.Popen(
        words, cwd=tmp_path, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        printed = [process.stdout.readline().rstrip() for _ in shown.splitlines()]
        process.terminate()
        assert process.wait(PATIENCE_S) == 0

    ports = {str(ingress): "8080", str(ops): "8081", str(emulator): "8090"}
    assert [
        re.sub(r"\d{5}", lambda found: ports.get(found[0], found[0]), line) for line in printed
    ] == shown.splitlines()


def test_make_has_the_targets(tmp_path: Path) -> None:
    """`make run` starts what the README says it starts, and `make test` is there."""
    if shutil.which("make") is None:
        pytest.skip("make is not on the PATH")
    done = run(["make", "-n", "-C", str(README.parent), "run"], tmp_path, dict(os.environ))
    tests = run(["make", "-n", "-C", str(README.parent), "test"], tmp_path, dict(os.environ))

    assert "cordboard run --local-twilio" in done.stdout
    assert tests.returncode == 0


@pytest.mark.parametrize(
    ("file", "words"),
    [("hold.py", [sys.executable]), ("hold.mjs", ["node"]), ("Hold.java", ["java"])],
)
def test_an_example_over_http_holds_a_call(house: House, tmp_path: Path, file: str, words: list[str]) -> None:
    """Each program, as it stands, with the call's id as its argument: the call is held and the program says so."""
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not on the PATH")
    call_id = connected(house, tmp_path)
    (tmp_path / file).write_text(EXAMPLES[file])

    done = run([*words, file, call_id], tmp_path, environment(house))

    assert done.returncode == 0, done.stdout
    assert "applied" in done.stdout
    house.until(call_id, "held")


@pytest.mark.kafka
def test_the_examples_over_kafka_hold_a_call(
    kafka: KafkaBroker, kafka_jars: Path, topic_prefix: str, tmp_path: Path
) -> None:
    """The programs that publish to `call.commands` work against a real broker, Java's with Java's own partitioner."""
    log = f"kafka:{kafka.bootstrap}"
    with House(tmp_path, log=log, topic_prefix=topic_prefix) as on_kafka:
        env = environment(on_kafka, KAFKA=kafka.bootstrap, CORDBOARD_TOPIC_PREFIX=topic_prefix)
        for file, words in (
            ("hold_kafka.py", [sys.executable]),
            ("HoldKafka.java", ["java", "-cp", str(kafka_jars / "*")]),
        ):
            call_id = connected(on_kafka, tmp_path)
            (tmp_path / file).write_text(EXAMPLES[file])
            done = run([*words, file, call_id], tmp_path, env)
            assert done.returncode == 0, done.stdout
            on_kafka.until(call_id, "held")


def test_every_example_is_run() -> None:
    """No program stands in the README that no test runs."""
    assert set(EXAMPLES) == {"hold.py", "hold.mjs", "Hold.java", "hold_kafka.py", "HoldKafka.java"}


def test_the_settings_for_a_real_number_are_enough(tmp_path: Path) -> None:
    """The `.env` of the README is all that `cordboard run` needs."""
    [env_file] = [block for block in blocks(TEXT) if block.kind == "sh"]
    (tmp_path / ".env").write_text(env_file.text)

    loaded = load_settings(tmp_path / ".env", needs="run")

    assert loaded.settings.public_url == "https://voice.example.com"
    assert f"{loaded.settings.public_url}/v1/voice/twiml" in TEXT


def test_the_policy_is_one(tmp_path: Path) -> None:
    """The policy of the README is taken as it stands."""
    [policy] = [block for block in blocks(TEXT) if block.kind == "toml"]
    (tmp_path / "policy.toml").write_text(policy.text)

    assert read_policies(tmp_path / "policy.toml").of("+15550100").route == ("client:alice", "phone:+15550122")


def test_every_link_leads_somewhere() -> None:
    """Relative links name files that are there."""
    links = re.findall(r"\]\(((?!https?:)[^)#]+)", TEXT)

    assert links
    assert [link for link in links if not (README.parent / link).exists()] == []


def test_lines_are_compared_but_for_what_varies() -> None:
    """The comparison can fail: another word, a missing line and a line too many are seen."""
    assert plain("12:00:00.123  call.held  CA" + "a" * 32) == plain("01:02:03.004 call.held CA" + "b" * 32)
    assert shows(("a", "…", "c"), ["a", "b", "b", "c"])
    assert shows(("a", "…"), ["a"])
    assert shows(("a b …",), ["a b c d"])
    assert not shows(("a c …",), ["a b c d"])
    assert not shows(("a", "…", "c"), ["a", "b"])
    assert not shows(("a",), ["a", "b"])
    assert not shows(("a",), ["b"])


def connected(house: House, folder: Path) -> str:
    """A call with an agent in it."""
    call_id = house.call()
    words = [str(BIN / "cordboard"), "send", "call.connect", "--call", call_id, "--to", AGENT]
    done = run(words, folder, environment(house))
    assert done.returncode == 0, done.stdout
    return call_id
