"""Reading the settings as a whole: everything that is wrong with them in one message, and nothing secret in it.

Unknown names, bad values, contradictions, broken files and what a service lacks are collected as `Problem`s before
anything starts; `SettingsError` carries them all.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from pydantic import ValidationError
from pydantic_settings import DotEnvSettingsSource

from cordboard.accounts import Accounts
from cordboard.accounts_file import read_accounts
from cordboard.errors import SettingsError
from cordboard.policies import read_policies
from cordboard.settings import NAMES, PREFIX, Settings, env_name, expected_of, host_port, is_loopback
from schemas.policy import Policies
from schemas.targets import ENQUEUE

DOCUMENTED = "docs/settings.md"
Overrides = Mapping[str, str | float]
_T = TypeVar("_T")
_CREDENTIALS = re.compile(r"//[^/]*@")


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong: with which setting (its name in the environment), and what was expected."""

    name: str
    what: str
    expected: str = ""

    def __str__(self) -> str:
        """One line of the message."""
        expected = f": expected {self.expected}" if self.expected else ""
        anchor = f"{DOCUMENTED}#{self.name.lower()}" if self.name in NAMES else DOCUMENTED
        return f"  {self.name} {self.what}{expected}  ({anchor})"


class Loaded(msgspec.Struct, frozen=True):
    """Settings that hold together, and what stands in the files that they name."""

    settings: Settings
    accounts: Accounts
    policies: Policies


def load_settings(
    env_file: Path | None = Path(".env"), *, overrides: Overrides | None = None, needs: str | None = None
) -> Loaded:
    """Read the environment and `env_file` (which may be missing); the environment wins, `overrides` win over both.

    `needs` names the service (`run`, `ingress`, `engine`, `actions`, `observe`) whose needs are checked as well.
    Raises `SettingsError`.
    """
    given = _given(env_file)
    problems = list(_unknown(given))
    values: dict[str, Any] = {
        field: given[env_name(field)] for field in Settings.model_fields if given.get(env_name(field))
    }
    values.update(overrides or {})
    bad: set[str] = set()
    try:
        settings = Settings(**values)
    except ValidationError as error:
        bad = {str(item["loc"][0]) for item in error.errors()}
        problems += [Problem(env_name(field), _is_bad(field, given), expected_of(field)) for field in sorted(bad)]
        settings = Settings(**{field: value for field, value in values.items() if field not in bad})
    problems += [found for found in _contradictions(settings) if _field(found.name) not in bad]
    accounts = _read(problems, "twilio_accounts_file", lambda: _accounts(settings), Accounts(()))
    policies = _read(problems, "policy_file", lambda: _policies(settings), Policies())
    problems += _queues(policies, accounts)
    if needs is not None:
        wanting = _needs(needs, settings, accounts)
        problems += [found for found in wanting if _field(found.name) not in bad and found.name not in _names(problems)]
    if problems:
        raise SettingsError("these settings stop the start:\n" + "\n".join(str(problem) for problem in problems))
    return Loaded(settings, accounts, policies)


def local_twilio(ingress_bind: str, emulator_url: str, account_sid: str, auth_token: str, number: str) -> Overrides:
    """What `--local-twilio` sets in place of a real account: nothing of one is used, nothing leaves the machine."""
    host, port = host_port(ingress_bind)
    reachable = f"[{host}]" if ":" in host else host
    return {
        "public_url": f"http://{reachable if is_loopback(ingress_bind) else '127.0.0.1'}:{port}",
        "twilio_account_sid": account_sid,
        "twilio_auth_token": auth_token,
        "twilio_api_key": "",
        "twilio_api_secret": "",
        "twilio_shared_keys": "",
        "twilio_api_url": emulator_url,
        "twilio_number": number,
        "twilio_calls_per_second": 0.0,
        "twilio_accounts_file": "",
        "taskrouter_workspace": "",
        "taskrouter_workflow": "",
    }


def _given(env_file: Path | None) -> dict[str, str]:
    """Every `CORDBOARD_…` name that is set, upper case, with where its value came from winning over the file."""
    from_file = DotEnvSettingsSource(Settings, env_file=env_file).env_vars if env_file else {}
    both = {**{name.upper(): value for name, value in from_file.items()}, **dict(os.environ)}
    return {name.upper(): value or "" for name, value in both.items() if name.upper().startswith(PREFIX)}


def _unknown(given: Mapping[str, str]) -> Iterator[Problem]:
    for name in sorted(set(given) - set(NAMES)):
        near = get_close_matches(name, NAMES, n=1, cutoff=0.6)
        yield Problem(name, "is not a setting", f"{near[0]}, perhaps" if near else f"one of those in {DOCUMENTED}")


def _is_bad(field: str, given: Mapping[str, str]) -> str:
    if _is_secret(field):
        return "cannot be read"
    return f"is {_CREDENTIALS.sub('//…@', given.get(env_name(field), ''))[:80]!r}"


def _is_secret(field: str) -> bool:
    return "Secret" in str(Settings.model_fields[field].annotation)


def _contradictions(settings: Settings) -> Iterator[Problem]:
    if not is_loopback(settings.ops_bind) and not settings.ops_token.get_secret_value():
        what = f"is not set, and {env_name('ops_bind')} is {settings.ops_bind!r}, which others can reach"
        yield Problem(env_name("ops_token"), what, "a token, or an ops port on 127.0.0.1")
    for one, other in (("twilio_api_key", "twilio_api_secret"), ("taskrouter_workspace", "taskrouter_workflow")):
        yield from _both(settings, one, other)
    if settings.kafka_security == "sasl_tls":
        for field in ("kafka_sasl_username", "kafka_sasl_password"):
            if not _is_set(settings, field):
                yield Problem(
                    env_name(field), f"is not set, and {env_name('kafka_security')} is sasl_tls", expected_of(field)
                )
    for field in ("twilio_auth_token", "twilio_api_key", "twilio_shared_keys"):
        if _is_set(settings, field) and not settings.twilio_account_sid:
            what = f"is not set, and {env_name(field)} is"
            yield Problem(env_name("twilio_account_sid"), what, expected_of("twilio_account_sid"))
            break


def _both(settings: Settings, one: str, other: str) -> Iterator[Problem]:
    for present, absent in ((one, other), (other, one)):
        if _is_set(settings, present) and not _is_set(settings, absent):
            yield Problem(env_name(absent), f"is not set, and {env_name(present)} is", expected_of(absent))


def _is_set(settings: Settings, field: str) -> bool:
    value = getattr(settings, field)
    return bool(value.get_secret_value() if hasattr(value, "get_secret_value") else value)


def _accounts(settings: Settings) -> Accounts:
    more = read_accounts(Path(settings.twilio_accounts_file)) if settings.twilio_accounts_file else ()
    own = settings.account
    return Accounts((*((own,) if own else ()), *more))


def _queues(policies: Policies, accounts: Accounts) -> Iterator[Problem]:
    """A policy that names a queue needs a workspace to look in."""
    named = [policies.defaults, *policies.by_number.values()]
    words = [word for policy in named for word in (*policy.route, policy.max_wait)]
    queues = any(word.startswith("queue:") for word in words)
    enqueues = any(word.startswith(ENQUEUE) for word in words)
    have = [bool(account.taskrouter_workflow) for account in accounts]
    # A caller may come in by any account, and is put into the queue of that one's workflow.
    if (queues or enqueues) and (not any(have) or (enqueues and not all(have))):
        yield Problem(env_name("policy_file"), "names a queue", "CORDBOARD_TASKROUTER_WORKSPACE and _WORKFLOW as well")


def _policies(settings: Settings) -> Policies:
    return read_policies(Path(settings.policy_file)) if settings.policy_file else Policies()


def _read(problems: list[Problem], field: str, read: Callable[[], _T], otherwise: _T) -> _T:
    try:
        return read()
    except SettingsError as error:
        problems.append(Problem(env_name(field), str(error)))
        return otherwise


def _needs(service: str, settings: Settings, accounts: Accounts) -> Iterator[Problem]:
    if service in {"ingress", "engine", "actions", "observe"} and not settings.uses_kafka:
        what = f"is {settings.log!r}, and the journal belongs to one process"
        expected = f"kafka:HOST:PORT for `cordboard {service}`; `cordboard run` is everything in one process"
        yield Problem(env_name("log"), what, expected)
    if service not in {"run", "ingress", "actions"}:
        return
    if not settings.public_url:
        yield Problem(env_name("public_url"), f"is not set; `cordboard {service}` needs it", expected_of("public_url"))
    if not len(accounts):
        expected = expected_of("twilio_account_sid")
        if service == "run":
            expected += " (`cordboard run --local-twilio` needs no account)"
        yield Problem(env_name("twilio_account_sid"), f"is not set; `cordboard {service}` needs an account", expected)
    for account in accounts:
        yield from _credentials(
            service,
            account.sid,
            has_tokens=bool(account.auth_tokens or account.shared_keys),
            has_rest=bool(account.auth_tokens or (account.api_key and account.api_secret)),
        )


def _credentials(service: str, sid: str, *, has_tokens: bool, has_rest: bool) -> Iterator[Problem]:
    if (service in {"run", "ingress"} and not has_tokens) or (service in {"run", "actions"} and not has_rest):
        what = f"is not set for {sid}: nothing could be verified or asked of Twilio"
        yield Problem(env_name("twilio_auth_token"), what, expected_of("twilio_auth_token"))


def _field(name: str) -> str:
    return name.removeprefix(PREFIX).lower()


def _names(problems: list[Problem]) -> set[str]:
    return {problem.name for problem in problems}
