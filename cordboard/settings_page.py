"""The page about all settings, `docs/settings.md`, made from the settings themselves.

python -m cordboard.settings_page            prints it
python -m cordboard.settings_page --write    writes it anew; a test fails when it is stale
"""

import sys
from pathlib import Path

from pydantic import SecretStr

from cordboard.policies import RULES
from cordboard.settings import Settings, env_name, expected_of
from schemas.policy import DEFAULT_POLICY

_NONE = {"whisper": "none", "machine_message": "a request to call back"}
PAGE = Path(__file__).parent.parent / "docs" / "settings.md"

_HEAD = """# Settings

Made by `python -m cordboard.settings_page --write` from the settings themselves; do not edit.

Every setting is an environment variable. A `.env` file in the working directory is read too; the environment wins over
it. An empty value means: not set. Unknown `CORDBOARD_…` names, bad values and contradictions stop the start with one
message that names every one of them. Secrets never appear in a log, an error or a `repr`.

Which service needs what: `ingress` and `actions` need `CORDBOARD_PUBLIC_URL` and an account; `ingress`, `engine`,
`actions` and `observe` alone need Kafka; `run` needs all but Kafka; `run --local-twilio` needs nothing.
"""

_ACCOUNTS = """## Accounts file

`CORDBOARD_TWILIO_ACCOUNTS_FILE` names a TOML file of more accounts and subaccounts. A webhook's `AccountSid` picks one;
an unknown one is refused with 403. The account of the environment comes first and is the default for `call.dial`.

```toml
[[account]]
sid = "AC00000000000000000000000000000002"
auth_tokens = ["the new one", "the old one"]   # all verify, the first one signs requests
api_key = "SK00000000000000000000000000000002" # optional, used for REST instead of the token
api_secret = "its secret"
shared_keys = { "key-1" = "its secret" }       # optional, for X-Twilio-Signature by shared key
number = "+15550200"
calls_per_second = 1
taskrouter_workspace = "WS00000000000000000000000000000002"
taskrouter_workflow = "WW00000000000000000000000000000002"
```
"""

_POLICY = """## Policy file

`CORDBOARD_POLICY_FILE` names a TOML file: `[defaults]`, and `["+15550100"]` tables that override it for one number.
Unknown keys and contradictions stop the start. A running call keeps the policy it began with; an outbound call takes
that of its `from` number. [policy.md](policy.md) explains each key.

```toml
[defaults]
route = "wait"
max_wait_s = 120

["+15550100"]
route = ["client:alice", "phone:+15550122"]
ring_timeout_s = 15
orphan = ["recall", "announce_end"]
```

| key | default | allowed |
|---|---|---|
"""


def page() -> str:
    """The whole page."""
    settings = "\n".join(_setting(field) for field in Settings.model_fields)
    return "\n".join((_HEAD, settings, _ACCOUNTS, _POLICY + "\n".join(map(_policy, RULES)) + "\n"))


def _setting(field: str) -> str:
    info = Settings.model_fields[field]
    default = info.default
    shown = "not set" if isinstance(default, SecretStr) or default == "" else f"`{_plain(default)}`"
    secret = " A secret." if isinstance(default, SecretStr) else ""
    return f"## {env_name(field)}\n\n{info.description}{secret}\n\nExpected: {expected_of(field)}. Default: {shown}.\n"


def _plain(default: object) -> str:
    return f"{default:g}" if isinstance(default, float) else str(default)


def _policy(key: str) -> str:
    default = getattr(DEFAULT_POLICY, key)
    shown = _NONE.get(key, "Twilio's own") if default is None else f"`{_toml(key, default)}`"
    return f"| `{key}` | {shown} | {RULES[key].allowed.replace('|', chr(92) + '|')} |"


def _toml(key: str, default: object) -> str:
    if key == "route":
        return '"wait"'
    if key == "conversation":
        return "{}"
    if key == "supervision":
        return '{ monitor = ["*"], coach = ["*"], barge = ["*"], follow = false }'
    if isinstance(default, tuple):
        return "[" + ", ".join(f'"{one}"' for one in default) + "]"
    return f'"{default}"' if isinstance(default, str) else str(default)


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(page(), encoding="utf-8")
    else:
        sys.stdout.write(page())
