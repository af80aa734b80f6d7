"""What is deployed fits together: compose file, image, environment files, and the settings that the code knows."""

import re
import shutil
import subprocess
import sys
from typing import Any

import pytest
import yaml

from checkout import PACKAGES, ROOT, text_files
from cordboard.settings import NAMES

_COMPOSE = ROOT / "docker-compose.yml"
_DEPLOYED = ("docker-compose.yml", "Dockerfile", "deploy/local.env", "deploy/example.env")
_SERVICES = {"kafka", "topics", "ingress", "engine", "actions", "observe", "emulator"}


def test_the_compose_file_follows_the_specification() -> None:
    """Every key is one that compose knows."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(_COMPOSE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_compose_itself_reads_the_file() -> None:
    """With the local environment file every variable is set and the file is accepted."""
    program = _compose_program()
    options = ["--env-file", "deploy/local.env", "-f", str(_COMPOSE), "--profile", "local-twilio", "config"]
    done = subprocess.run([*program, *options], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_service_is_there() -> None:
    """Kafka, its topics and each service run apart; the local Twilio only when asked for."""
    services = _compose()["services"]

    assert set(services) == _SERVICES
    assert services["emulator"]["profiles"] == ["local-twilio"]
    assert [name for name, service in services.items() if "profiles" in service] == ["emulator"]


def test_every_service_says_whether_it_is_well() -> None:
    """Each long-running service has a health check, and all wait for their topics."""
    services = _compose()["services"]
    long_running = _SERVICES - {"topics"}

    assert [name for name in long_running if "test" not in services[name]["healthcheck"]] == []
    assert services["topics"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    for name in long_running - {"kafka"}:
        assert services[name]["depends_on"] == {"topics": {"condition": "service_completed_successfully"}}


def test_only_the_ingress_is_exposed() -> None:
    """Every published port but Twilio's side is on loopback."""
    published = {
        f"{name} {port}"
        for name, service in _compose()["services"].items()
        for port in service.get("ports", [])
        if not port.startswith("127.0.0.1:")
    }

    assert published == {"ingress 8080:8080"}


def test_every_image_is_pinned() -> None:
    """An image without a version, or with a moving one, is another program tomorrow."""
    images = re.findall(r"(?m)^FROM (\S+)", (ROOT / "Dockerfile").read_text())
    images += [service["image"] for service in _compose()["services"].values()]

    assert images
    assert [image for image in images if not re.search(r":\D*\d+\.\d+|^cordboard:local$", image)] == []


def test_the_image_installs_from_locks_and_runs_as_nobody() -> None:
    """Every pip install in the image demands hashes or installs only what was built there, and root does not run it."""
    text = (ROOT / "Dockerfile").read_text()
    installs = re.findall(r"pip install ([^\\\n]+)", text)

    assert len(installs) == 3
    assert [line for line in installs if "--require-hashes" not in line and "--no-index" not in line] == []
    assert re.search(r"(?m)^USER (?!root)", text)


def test_the_image_is_given_every_package() -> None:
    """A package that .dockerignore leaves out would be missing from the image alone."""
    allowed = set((ROOT / ".dockerignore").read_text().splitlines())

    assert {f"!{package}" for package in PACKAGES} <= allowed
    assert {"!requirements", "!pyproject.toml", "!README.md", "!LICENSE"} <= allowed


@pytest.mark.parametrize("name", _DEPLOYED)
def test_only_known_settings_are_used(name: str) -> None:
    """An unknown CORDBOARD_ name would stop the start (contracts.md section 1)."""
    used = set(re.findall(r"\bCORDBOARD_[A-Z_]+\b", text_files()[name]))

    assert used - set(NAMES) == set()


def test_every_setting_can_reach_the_containers() -> None:
    """Whatever may be set can be set in the environment file; how to reach Kafka is compose's own business."""
    passed_on = set(_compose()["x-settings"]) | set(_compose()["services"]["ingress"]["environment"])

    assert {name for name in NAMES if not name.startswith("CORDBOARD_KAFKA_")} - passed_on == set()


def test_the_local_environment_answers_every_question() -> None:
    """With deploy/local.env nothing that compose insists on is missing."""
    required = set(re.findall(r"\$\{(CORDBOARD_[A-Z_]+):\?", _COMPOSE.read_text()))
    given = set(re.findall(r"(?m)^(CORDBOARD_[A-Z_]+)=.+", (ROOT / "deploy" / "local.env").read_text()))

    assert required
    assert required <= given


def _compose() -> Any:  # whatever YAML holds; the schema is checked above
    return yaml.safe_load(_COMPOSE.read_text())


def _compose_program() -> list[str]:
    plugin = [shutil.which("docker") or "docker", "compose"]
    if (
        shutil.which("docker")
        and subprocess.run([*plugin, "version"], capture_output=True, check=False).returncode == 0
    ):
        return plugin
    if alone := shutil.which("docker-compose"):
        return [alone]
    pytest.skip("neither `docker compose` nor docker-compose is installed")
