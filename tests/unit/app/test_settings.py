"""Settings: every name, one message for everything that is wrong, nothing secret in it."""

import re
from pathlib import Path

import pytest

from cordboard.accounts_file import read_accounts
from cordboard.errors import SettingsError
from cordboard.policies import read_policies
from cordboard.settings import NAMES, Settings, is_loopback
from cordboard.settings_checks import load_settings, local_twilio
from cordboard.settings_page import PAGE, page
from readme import blocks

SID = "AC" + "1" * 32
KEY = "SK" + "2" * 32

# contracts.md section 1, name by name, with a value that it takes.
CONTRACT = {
    "CORDBOARD_LOG": "kafka:one:9092,two:9092",
    "CORDBOARD_KAFKA_SECURITY": "sasl_tls",
    "CORDBOARD_KAFKA_SASL_MECHANISM": "SCRAM-SHA-256",
    "CORDBOARD_KAFKA_SASL_USERNAME": "cordboard",
    "CORDBOARD_KAFKA_SASL_PASSWORD": "sasl-secret",
    "CORDBOARD_KAFKA_TLS_CA": "ca.pem",
    "CORDBOARD_TOPIC_PREFIX": "stage.",
    "CORDBOARD_PARTITIONS": "64",
    "CORDBOARD_PUBLIC_URL": "https://voice.example.com/twilio/",
    "CORDBOARD_TWILIO_ACCOUNT_SID": SID,
    "CORDBOARD_TWILIO_AUTH_TOKEN": "new-token, old-token",
    "CORDBOARD_TWILIO_API_KEY": KEY,
    "CORDBOARD_TWILIO_API_SECRET": "api-secret",
    "CORDBOARD_TWILIO_SHARED_KEYS": "one:shared-secret,two:other-secret",
    "CORDBOARD_TWILIO_API_URL": "http://127.0.0.1:8090/",
    "CORDBOARD_TWILIO_NUMBER": "+15550100",
    "CORDBOARD_TWILIO_CALLS_PER_SECOND": "0",
    "CORDBOARD_TWILIO_ACCOUNTS_FILE": "",
    "CORDBOARD_COMMAND_DEADLINE_S": "30",
    "CORDBOARD_TASKROUTER_WORKSPACE": "WS" + "3" * 32,
    "CORDBOARD_TASKROUTER_WORKFLOW": "WW" + "4" * 32,
    "CORDBOARD_INGRESS_BIND": "0.0.0.0:8080",
    "CORDBOARD_SPOOL": "/var/spool/cordboard/spool.db",
    "CORDBOARD_SPOOL_MAX_RECORDS": "5000",
    "CORDBOARD_SPOOL_MAX_MB": "64",
    "CORDBOARD_OPS_BIND": "0.0.0.0:8081",
    "CORDBOARD_OPS_TOKEN": "ops-secret",
    "CORDBOARD_POLICY_FILE": "",
}
SECRETS = ("sasl-secret", "new-token", "old-token", "api-secret", "shared-secret", "other-secret", "ops-secret")


def refusal(monkeypatch: pytest.MonkeyPatch, needs: str | None = None, **names: str) -> str:
    """What is said when the settings are these."""
    for name, value in names.items():
        monkeypatch.setenv(f"CORDBOARD_{name}", value)
    with pytest.raises(SettingsError) as refused:
        load_settings(None, needs=needs)
    return str(refused.value)


def test_every_name_of_the_contract_is_a_setting_and_no_other_is() -> None:
    """The names are those of contracts.md section 1, and the spool's (decision 034)."""
    assert set(NAMES) == set(CONTRACT)


def test_nothing_set_gives_the_defaults_of_the_contract() -> None:
    """An empty environment is a working one: the journal, eight partitions, loopback, one call a second."""
    settings = load_settings(None).settings

    assert settings.log == "sqlite:.cordboard/journal.db"
    assert (settings.partitions, settings.topic_prefix) == (8, "")
    assert (settings.ingress_bind, settings.ops_bind) == ("127.0.0.1:8080", "127.0.0.1:8081")
    assert (settings.twilio_calls_per_second, settings.command_deadline_s) == (1.0, 60)


def test_every_setting_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """All settings at once: each reaches its place, lists and keys in parts, URLs without their last slash."""
    for name, value in CONTRACT.items():
        monkeypatch.setenv(name, value)

    loaded = load_settings(None, needs="ingress")
    account = loaded.accounts.default

    assert loaded.settings.uses_kafka
    assert loaded.settings.public_url == "https://voice.example.com/twilio"
    assert loaded.settings.twilio_api_url == "http://127.0.0.1:8090"
    assert account.sid == SID
    assert account.auth_tokens == ("new-token", "old-token")
    assert account.rest_credentials == (KEY, "api-secret")
    assert account.shared_keys == {"one": "shared-secret", "two": "other-secret"}
    assert (account.number, account.calls_per_second) == ("+15550100", 0.0)
    assert account.taskrouter_workspace == "WS" + "3" * 32
    assert (loaded.settings.partitions, loaded.settings.command_deadline_s) == (64, 30)


def test_no_secret_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the settings nor what hangs on them repeats a secret."""
    for name, value in CONTRACT.items():
        monkeypatch.setenv(name, value)

    loaded = load_settings(None)
    seen = f"{loaded!r} {loaded.settings} {loaded.settings.account!r} {list(loaded.accounts)!r}"

    assert [secret for secret in SECRETS if secret in seen] == []


def test_the_env_file_is_read_and_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `.env` file fills what the environment leaves open."""
    file = tmp_path / ".env"
    file.write_text("CORDBOARD_PARTITIONS=16\nCORDBOARD_TOPIC_PREFIX=file.\nOTHER_SERVICE=1\n")
    monkeypatch.setenv("CORDBOARD_PARTITIONS", "32")

    settings = load_settings(file).settings

    assert (settings.partitions, settings.topic_prefix) == (32, "file.")


def test_unknown_names_of_both_places_stop_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown name is told, with the name that was probably meant, wherever it stands."""
    file = tmp_path / ".env"
    file.write_text("CORDBOARD_PARTITION=16\n")
    monkeypatch.setenv("CORDBOARD_TWILIO_TOKEN", "do-not-show-this")

    with pytest.raises(SettingsError) as refused:
        load_settings(file)

    assert "CORDBOARD_PARTITION is not a setting: expected CORDBOARD_PARTITIONS, perhaps" in str(refused.value)
    assert "CORDBOARD_TWILIO_TOKEN is not a setting" in str(refused.value)
    assert "do-not-show-this" not in str(refused.value)


BAD = {
    "LOG": "mysql:journal",
    "KAFKA_SECURITY": "ssl",
    "KAFKA_SASL_MECHANISM": "GSSAPI",
    "TOPIC_PREFIX": "a b",
    "PARTITIONS": "none",
    "PUBLIC_URL": "voice.example.com",
    "TWILIO_ACCOUNT_SID": "AC1",
    "TWILIO_API_KEY": "key",
    "TWILIO_SHARED_KEYS": "only-a-secret",
    "TWILIO_API_URL": "ftp://twilio",
    "TWILIO_NUMBER": "5550100",
    "TWILIO_CALLS_PER_SECOND": "-1",
    "COMMAND_DEADLINE_S": "0",
    "TASKROUTER_WORKSPACE": "workspace",
    "TASKROUTER_WORKFLOW": "workflow",
    "INGRESS_BIND": "8080",
    "OPS_BIND": "127.0.0.1:99999",
}


def test_every_bad_value_is_named_in_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many are wrong, all are told at once: name, what was expected, where it is documented."""
    message = refusal(monkeypatch, **BAD)

    for name in BAD:
        line = next(line for line in message.splitlines() if line.strip().startswith(f"CORDBOARD_{name} "))
        assert ": expected " in line
        assert f"(docs/settings.md#cordboard_{name.lower()})" in line
    assert "only-a-secret" not in message


def test_credentials_in_an_address_are_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL with a password in it is refused without the password."""
    message = refusal(monkeypatch, PUBLIC_URL="https://user:hidden@voice.example.com")

    assert "CORDBOARD_PUBLIC_URL" in message
    assert "hidden" not in message


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"OPS_BIND": "0.0.0.0:8081"}, "CORDBOARD_OPS_TOKEN is not set, and CORDBOARD_OPS_BIND"),
        ({"TWILIO_ACCOUNT_SID": SID, "TWILIO_API_KEY": KEY}, "CORDBOARD_TWILIO_API_SECRET is not set"),
        ({"TASKROUTER_WORKFLOW": "WW" + "4" * 32}, "CORDBOARD_TASKROUTER_WORKSPACE is not set"),
        ({"KAFKA_SECURITY": "sasl_tls"}, "CORDBOARD_KAFKA_SASL_PASSWORD is not set"),
        ({"TWILIO_AUTH_TOKEN": "t"}, "CORDBOARD_TWILIO_ACCOUNT_SID is not set, and CORDBOARD_TWILIO_AUTH_TOKEN is"),
        ({"POLICY_FILE": "/does/not/exist.toml"}, "CORDBOARD_POLICY_FILE /does/not/exist.toml: No such file"),
    ],
)
def test_settings_that_contradict_one_another_stop_the_start(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], named: str
) -> None:
    """What cannot work together is told before anything starts."""
    assert named in refusal(monkeypatch, **given)


def test_an_open_ops_port_with_a_token_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The port may bind elsewhere once a token guards it."""
    monkeypatch.setenv("CORDBOARD_OPS_BIND", "0.0.0.0:8081")
    monkeypatch.setenv("CORDBOARD_OPS_TOKEN", "t")

    assert load_settings(None).settings.ops_bind == "0.0.0.0:8081"


@pytest.mark.parametrize("service", ["ingress", "engine", "actions", "observe"])
def test_a_single_service_needs_kafka(monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    """The journal belongs to one process, so a service alone is refused on it, and told what works instead."""
    message = refusal(monkeypatch, needs=service)

    assert "CORDBOARD_LOG is 'sqlite:.cordboard/journal.db', and the journal belongs to one process" in message
    assert "`cordboard run`" in message


def test_run_without_an_account_says_how_to_do_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that `run` lacks is told at once, and the way to try it with nothing."""
    message = refusal(monkeypatch, needs="run")

    assert "CORDBOARD_PUBLIC_URL is not set" in message
    assert "CORDBOARD_TWILIO_ACCOUNT_SID is not set" in message
    assert "cordboard run --local-twilio" in message


def test_an_account_without_credentials_is_not_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """A SID alone can neither verify a webhook nor ask Twilio for anything."""
    message = refusal(monkeypatch, needs="run", TWILIO_ACCOUNT_SID=SID, PUBLIC_URL="https://voice.example.com")

    assert f"CORDBOARD_TWILIO_AUTH_TOKEN is not set for {SID}" in message


def test_the_local_twilio_replaces_every_trace_of_a_real_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """With `--local-twilio` no real credential, address or pace is left."""
    for name, value in CONTRACT.items():
        monkeypatch.setenv(name, value)

    overrides = local_twilio("0.0.0.0:8080", "http://127.0.0.1:8090", "AC" + "0" * 32, "made-up", "+15550100")
    loaded = load_settings(None, overrides=overrides, needs="run")
    account = loaded.accounts.default

    assert len(loaded.accounts) == 1
    assert account.rest_credentials == ("AC" + "0" * 32, "made-up")
    assert (account.shared_keys, account.calls_per_second, account.taskrouter_workspace) == ({}, 0.0, None)
    assert loaded.settings.public_url == "http://127.0.0.1:8080"


def test_more_accounts_come_from_their_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The account of the environment stays the first one; those of the file follow."""
    file = tmp_path / "accounts.toml"
    file.write_text(
        f'[[account]]\nsid = "AC{"5" * 32}"\nauth_tokens = ["a", "b"]\nnumber = "+15550200"\n'
        'shared_keys = { "one" = "s" }\ncalls_per_second = 5\n'
    )
    for name in ("CORDBOARD_TWILIO_ACCOUNT_SID", "CORDBOARD_TWILIO_AUTH_TOKEN", "CORDBOARD_PUBLIC_URL"):
        monkeypatch.setenv(name, CONTRACT[name])
    monkeypatch.setenv("CORDBOARD_TWILIO_ACCOUNTS_FILE", str(file))

    accounts = load_settings(None, needs="run").accounts
    second = accounts.get("AC" + "5" * 32)

    assert accounts.default.sid == SID
    assert second is not None
    assert (second.auth_tokens, second.shared_keys, second.calls_per_second) == (("a", "b"), {"one": "s"}, 5.0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[account]]\nsid = "AC1"\nauth_tokens = ["hidden"]\n', "$.account[0].sid"),
        (f'[[account]]\nsid = "{SID}"\nauth_token = "hidden"\n', "auth_token"),
        (f'[[account]]\nsid = "{SID}"\napi_key = "{KEY}"\n', "api_key and api_secret"),
        (f'[[account]]\nsid = "{SID}"\n[[account]]\nsid = "{SID}"\n', "more than once"),
        ("[[account]\n", "is not TOML"),
    ],
)
def test_a_broken_accounts_file_is_told_without_its_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, told: str
) -> None:
    """Where the file is wrong is told; what stands there is not."""
    file = tmp_path / "accounts.toml"
    file.write_text(text)

    message = refusal(monkeypatch, TWILIO_ACCOUNTS_FILE=str(file))

    assert "CORDBOARD_TWILIO_ACCOUNTS_FILE" in message
    assert told in message
    assert "hidden" not in message


def test_the_page_about_settings_is_fresh() -> None:
    """`docs/settings.md` says what the settings say: `python -m cordboard.settings_page --write`."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_setting_has_its_place_on_the_page() -> None:
    """The places that errors point to are there."""
    headings = set(re.findall(r"^## (CORDBOARD_\w+)$", page(), re.MULTILINE))

    assert headings == set(NAMES)
    assert all(info.description for info in Settings.model_fields.values())


def test_the_examples_of_the_page_are_taken_as_they_stand(tmp_path: Path) -> None:
    """Nobody copies a file from the page that is then refused."""
    accounts, policy = (block.text for block in blocks(page()) if block.kind == "toml")
    (tmp_path / "accounts.toml").write_text(accounts)
    (tmp_path / "policy.toml").write_text(policy)

    assert read_accounts(tmp_path / "accounts.toml")[0].number == "+15550200"
    assert read_policies(tmp_path / "policy.toml").of("+15550100").ring_timeout_s == 15


@pytest.mark.parametrize(
    ("bind", "loopback"),
    [("127.0.0.1:1", True), ("127.9.9.9:1", True), ("localhost:1", True), ("[::1]:1", True), ("0.0.0.0:1", False),
     ("[::]:1", False), ("10.0.0.1:1", False), ("127.example.com:1", False)],
)  # fmt: skip
def test_loopback_is_told_from_the_rest(bind: str, loopback: bool) -> None:
    """Only addresses of this machine count as loopback, whatever a name looks like."""
    assert is_loopback(bind) is loopback


@pytest.mark.parametrize("route", ["queue:billing", "enqueue:billing"])
def test_a_policy_that_names_a_queue_needs_a_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    """Said at the start, not when the first caller waits for a worker who never comes."""
    policy = tmp_path / "policy.toml"
    policy.write_text(f'[defaults]\nroute = "{route}"\n')
    monkeypatch.setenv("CORDBOARD_POLICY_FILE", str(policy))

    with pytest.raises(SettingsError, match="CORDBOARD_TASKROUTER_WORKSPACE"):
        load_settings()
