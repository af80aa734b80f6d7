"""The settings: every `CORDBOARD_…` name of contracts.md section 1, read from the environment and from `.env`.

Here stands what each setting is, what it may hold and how it is read. What is wrong with a configuration as a whole
(unknown names, contradictions, what a service needs) is `settings_checks.py`; the files named by settings are read by
`accounts_file.py` and `policies.py`; the page about all of them is made by `settings_page.py`.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from cordboard.accounts import Account
from schemas.ids import ACCOUNT_SID_PATTERN

PREFIX = "CORDBOARD_"
DEFAULT_API_URL = "https://api.twilio.com"
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_BIND = re.compile(r"^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):(\d{1,5})$")
_MAX_PORT = 65_535
_ADDRESS = r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}"


def _matching(pattern: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if compiled.fullmatch(value) is None:
            raise ValueError(pattern)
        return value

    return AfterValidator(check)


def is_bind(text: str) -> bool:
    """Whether this is an address to listen on: `HOST:PORT`, an IPv6 host in brackets."""
    match = _BIND.fullmatch(text)
    return match is not None and int(match[2]) <= _MAX_PORT


def _bind(value: str) -> str:
    if not is_bind(value):
        raise ValueError(value)
    return value


def _secret_keys(value: SecretStr) -> SecretStr:
    shared_keys(value.get_secret_value())
    return value


def shared_keys(text: str) -> dict[str, str]:
    """`id:secret,…` as a mapping. Raises `ValueError` that does not repeat the text."""
    keys: dict[str, str] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        key_id, separator, secret = item.partition(":")
        if not (separator and key_id and secret):
            raise ValueError("expected id:secret")
        keys[key_id] = secret
    return keys


def _setting(default: Any, meaning: str, expected: str, **limits: Any) -> Any:  # noqa: ANN401 pydantic's Field is typed so too
    return Field(default=default, description=meaning, json_schema_extra={"expected": expected}, **limits)


_Url = Annotated[str, _matching(r"https?://[^\s?#/@]+(/[^\s?#]*)?"), AfterValidator(lambda url: url.rstrip("/"))]
_Bind = Annotated[str, AfterValidator(_bind)]
_NO_SECRET = SecretStr("")


class Settings(BaseSettings):
    """What the environment says. Empty text means: not set. Secrets are `SecretStr` and never show."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file_encoding="utf-8",
        extra="ignore",  # unknown names are found by settings_checks, all at once and with what is meant
        hide_input_in_errors=True,
        frozen=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 as the base class gives them
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 as above
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 as above
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what settings_checks has collected: it has to see everything at once, the unknown names too."""
        return (init_settings,)

    log: Annotated[str, _matching(rf"sqlite:.+|kafka:{_ADDRESS}(,{_ADDRESS})*")] = _setting(
        "sqlite:.cordboard/journal.db",
        "The log that everything travels through: a journal in one file, or a Kafka cluster.",
        "sqlite:PATH or kafka:HOST:PORT[,HOST:PORT…]",
    )
    kafka_security: Literal["plaintext", "tls", "sasl_tls"] = _setting(
        "plaintext", "How to connect to Kafka.", "plaintext, tls or sasl_tls"
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = _setting(
        "SCRAM-SHA-512", "How to log in to Kafka, with sasl_tls.", "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"
    )
    kafka_sasl_username: str = _setting("", "User at Kafka, with sasl_tls.", "a user name")
    kafka_sasl_password: SecretStr = _setting(_NO_SECRET, "Password at Kafka, with sasl_tls.", "a password")
    kafka_tls_ca: str = _setting(
        "", "Certificates that Kafka's one is checked against; without it the system's.", "path of a PEM file"
    )
    topic_prefix: Annotated[str, _matching(r"[A-Za-z0-9._-]{0,100}")] = _setting(
        "", "Put before every topic and group name.", "up to 100 of A-Z a-z 0-9 . _ -"
    )
    partitions: int = _setting(
        8, "Partitions of every topic; fixed for life once the topics exist.", "an integer, 1 to 1000", ge=1, le=1000
    )
    public_url: Annotated[
        str, AfterValidator(lambda url: url.rstrip("/")), _matching(r"|https?://[^\s?#/@]+(/[^\s?#]*)?")
    ] = _setting(
        "",
        "How Twilio reaches the ingress; a path prefix is allowed. Never guessed from a request.",
        "an http(s) URL without query and fragment, such as https://voice.example.com",
    )
    twilio_account_sid: Annotated[str, _matching(f"|{ACCOUNT_SID_PATTERN}")] = _setting(
        "", "The Twilio account.", "AC and 32 hexadecimal digits"
    )
    twilio_auth_token: SecretStr = _setting(
        _NO_SECRET,
        "Its auth token. A list while the token is being rotated: all of them verify webhooks, the first one signs "
        "requests.",
        "a token, or a comma-separated list of them",
    )
    twilio_api_key: Annotated[str, _matching(r"|SK[0-9a-fA-F]{32}")] = _setting(
        "", "Used for REST instead of the token.", "SK and 32 hexadecimal digits, together with the secret"
    )
    twilio_api_secret: SecretStr = _setting(_NO_SECRET, "The secret of the API key.", "the key's secret")
    twilio_shared_keys: Annotated[SecretStr, AfterValidator(_secret_keys)] = _setting(
        _NO_SECRET, "Keys for webhooks signed by shared key.", "id:secret, or a comma-separated list of such pairs"
    )
    twilio_api_url: _Url = _setting(
        DEFAULT_API_URL, "Where REST requests go: Twilio, the local Twilio or a proxy.", "an http(s) URL without query"
    )
    twilio_number: Annotated[str, _matching(r"|\+[1-9][0-9]{1,14}")] = _setting(
        "", "Caller id of the legs that we dial where nothing else says one.", "an E.164 number, such as +15550100"
    )
    twilio_calls_per_second: float = _setting(
        1.0,
        "Pacing of new legs. Twilio's own default is 1 as well; 0 is no pacing.",
        "a number, 0 to 1000",
        ge=0,
        le=1000,
        allow_inf_nan=False,
    )
    twilio_accounts_file: str = _setting(
        "", "More accounts and subaccounts, as `[[account]]` tables.", "path of a TOML file"
    )
    command_deadline_s: int = _setting(
        60,
        "A command without a deadline of its own that could not begin within this time is expired.",
        "seconds, 1 to 86400",
        ge=1,
        le=86_400,
    )
    taskrouter_workspace: Annotated[str, _matching(r"|WS[0-9a-fA-F]{32}")] = _setting(
        "", "Workspace for `queue:` targets.", "WS and 32 hexadecimal digits, together with the workflow"
    )
    taskrouter_workflow: Annotated[str, _matching(r"|WW[0-9a-fA-F]{32}")] = _setting(
        "", "Workflow for `queue:` targets.", "WW and 32 hexadecimal digits, together with the workspace"
    )
    ingress_bind: _Bind = _setting(
        "127.0.0.1:8080", "Where the ingress listens: Twilio's side, the only one to expose.", "HOST:PORT"
    )
    spool: str = _setting(
        ".cordboard/spool.db",
        "Where the ingress keeps what the log does not take: answered 2xx, drained when the log is back. One file for "
        "each process, on a disk that lasts.",
        "path of a file, or off for none: then Twilio gets 503 while the log is away",
    )
    spool_max_records: int = _setting(
        1_000_000,
        "How many records the spool takes; then Twilio gets 503.",
        "an integer, 1 to 100000000",
        ge=1,
        le=100_000_000,
    )
    spool_max_mb: int = _setting(
        1024,
        "How many megabytes the spool takes; then Twilio gets 503.",
        "an integer, 1 to 1000000",
        ge=1,
        le=1_000_000,
    )
    ops_bind: _Bind = _setting(
        "127.0.0.1:8081", "Where the ops port listens: health, metrics, commands, reading.", "HOST:PORT"
    )
    ops_token: SecretStr = _setting(
        _NO_SECRET, "Bearer token of the ops port. Without one it binds to loopback only.", "a long random text"
    )
    policy_file: str = _setting("", "Routing and limits per number.", "path of a TOML file")

    @property
    def uses_kafka(self) -> bool:
        """Whether the log is Kafka."""
        return self.log.startswith("kafka:")

    @property
    def account(self) -> Account | None:
        """The account of the environment, None when it names none."""
        if not self.twilio_account_sid:
            return None
        tokens = self.twilio_auth_token.get_secret_value().split(",")
        return Account(
            sid=self.twilio_account_sid,
            auth_tokens=tuple(token.strip() for token in tokens if token.strip()),
            api_key=self.twilio_api_key or None,
            api_secret=self.twilio_api_secret.get_secret_value() or None,
            shared_keys=shared_keys(self.twilio_shared_keys.get_secret_value()),
            number=self.twilio_number,
            calls_per_second=self.twilio_calls_per_second,
            taskrouter_workspace=self.taskrouter_workspace or None,
            taskrouter_workflow=self.taskrouter_workflow or None,
        )


def env_name(field: str) -> str:
    """The name in the environment of a field of `Settings`."""
    return PREFIX + field.upper()


NAMES: tuple[str, ...] = tuple(env_name(field) for field in Settings.model_fields)
"""Every setting there is, in the order of the page."""


def expected_of(field: str) -> str:
    """What a setting may hold, in words."""
    extra = Settings.model_fields[field].json_schema_extra
    return str(extra["expected"]) if isinstance(extra, dict) else ""


def host_port(bind: str) -> tuple[str, int]:
    """`HOST:PORT` in two parts; an IPv6 host without its brackets."""
    host, _, port = bind.rpartition(":")
    return host.strip("[]"), int(port)


def is_loopback(bind: str) -> bool:
    """Whether only this machine can reach what listens there."""
    host = host_port(bind)[0]
    return host in _LOOPBACK or re.fullmatch(r"127\.\d{1,3}\.\d{1,3}\.\d{1,3}", host) is not None
