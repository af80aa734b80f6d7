"""The policy file: TOML into `schemas.policy.Policies` (contracts.md section 6), every key and value checked.

What a policy means is the engine's business. A value that contracts.md allows and that the engine does not honour yet
is refused with those words: `AVAILABLE` is what it honours, and grows with it.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from cordboard.accounts_file import read_toml
from cordboard.errors import SettingsError
from schemas.policy import DEFAULT_POLICY, Policies, Policy, SupervisionRights
from schemas.prompts import checked_url
from schemas.targets import TARGET_PATTERN

ANY = frozenset({"*"})
AVAILABLE: dict[str, frozenset[str]] = {
    "route": frozenset({"wait", "phone", "sip", "client", "app", "queue"}),
    "max_wait_s": ANY,
    "max_wait": frozenset({"announce_end", "voicemail", "phone", "sip", "client", "app", "queue"}),
    "wait_audio": ANY,
    "hold_audio": ANY,
    "whisper": ANY,
    "ring_timeout_s": ANY,
    "hold_reminder_s": ANY,
    "hold_max_s": ANY,
    "hold_max": ANY,
    "orphan": ANY,
    "orphan_grace_s": ANY,
    "consult_limit_s": ANY,
    "consult_limit": ANY,
    "abandoned_consult_s": ANY,
    "customer_left": ANY,
    "wrap_up_s": ANY,
    "machine": frozenset({"off", "hang_up"}),
    "recording": ANY,
    "max_pause_s": ANY,
    "supervision": ANY,
}
"""What the engine honours: key to the kinds of value. A key that is not here must keep its default."""

_NUMBER = re.compile(r"\+[1-9][0-9]{1,14}")
_TARGET = re.compile(TARGET_PATTERN)
_CONVERSATION = re.compile(r"conversation:IS[0-9a-fA-F]{32}")
_DAY_S = 86_400
MOST_SAID = 1_000


class Read(msgspec.Struct, frozen=True):
    """A value as the policy holds it, and the kinds of value that it uses."""

    value: Any
    kinds: frozenset[str]


class _Rule(msgspec.Struct, frozen=True):
    allowed: str
    read: Callable[[object], Read | None]
    """None for a value that is not allowed."""


def _seconds(low: int, high: int = _DAY_S) -> _Rule:
    def read(value: object) -> Read | None:
        ok = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        return Read(value, frozenset({"seconds"})) if ok else None

    return _Rule(f"whole seconds, {low} to {high}", read)


def _word(*words: str) -> _Rule:
    def read(value: object) -> Read | None:
        return Read(value, frozenset({str(value)})) if value in words else None

    return _Rule(" or ".join(f'"{word}"' for word in words), read)


def _kind_of_target(text: object) -> str | None:
    if not isinstance(text, str):
        return None
    if _CONVERSATION.fullmatch(text):
        return "conversation"
    return text.partition(":")[0] if _TARGET.fullmatch(text) else None


def _read_route(value: object) -> Read | None:
    if value == "wait":
        return Read(("wait",), frozenset({"wait"}))
    targets = value if isinstance(value, list) else [value]
    kinds = [_kind_of_target(target) for target in targets]
    alone = {"queue", "app", "conversation"}.intersection(filter(None, kinds))
    if not kinds or None in kinds or (alone and len(kinds) > 1):
        return None
    return Read(tuple(targets), frozenset(filter(None, kinds)))


def _read_max_wait(value: object) -> Read | None:
    if value in {"voicemail", "announce_end"}:
        return Read(value, frozenset({str(value)}))
    kind = _kind_of_target(value)
    return Read(value, frozenset({kind})) if kind not in {None, "conversation"} else None


def _read_orphan(value: object) -> Read | None:
    allowed = {"recall", "requeue", "voicemail", "announce_end"}
    if not isinstance(value, list) or not value or not all(isinstance(word, str) and word in allowed for word in value):
        return None
    return Read(tuple(value), frozenset(value))


def _read_audio(value: object) -> Read | None:
    if isinstance(value, str):
        try:
            return Read(checked_url(value, "audio"), frozenset({"url"}))
        except ValueError:
            return None
    if not isinstance(value, dict) or set(value) != {"say"}:
        return None
    text = value["say"]
    said = isinstance(text, str) and 0 < len(text) <= MOST_SAID and not text.startswith(("http://", "https://"))
    return Read(value["say"], frozenset({"say"})) if said else None


def _read_supervision(value: object) -> Read | None:
    try:
        return Read(msgspec.convert(value, SupervisionRights), frozenset({"rights"}))
    except msgspec.ValidationError:
        return None


_AUDIO = _Rule('an http(s) URL, or { say = "…" }', _read_audio)
RULES: dict[str, _Rule] = {
    "route": _Rule('"wait", a list of targets, "queue:NAME", "app:AP…?…" or "conversation:IS…"', _read_route),
    "max_wait_s": _seconds(0),
    "max_wait": _Rule('"voicemail", "announce_end" or a target', _read_max_wait),
    "wait_audio": _AUDIO,
    "hold_audio": _AUDIO,
    "whisper": _AUDIO,
    "ring_timeout_s": _seconds(5, 600),
    "hold_reminder_s": _seconds(0),
    "hold_max_s": _seconds(0),
    "hold_max": _word("alert", "resume", "requeue", "voicemail"),
    "orphan": _Rule('a list of "recall", "requeue", "voicemail", "announce_end", tried in order', _read_orphan),
    "orphan_grace_s": _seconds(0),
    "consult_limit_s": _seconds(0),
    "consult_limit": _word("alert", "merge", "cancel"),
    "abandoned_consult_s": _seconds(0),
    "customer_left": _word("end", "keep_agents"),
    "wrap_up_s": _seconds(0),
    "machine": _word("off", "hang_up", "voicemail_message"),
    "recording": _word("off", "from_connected", "from_start"),
    "max_pause_s": _seconds(1),
    "supervision": _Rule("{ monitor = […], coach = […], barge = […], follow = true or false }", _read_supervision),
}


def read_policies(path: Path) -> Policies:
    """The policies in `path`. Raises `SettingsError` that names every key at fault, its value and what is allowed."""
    tables = read_toml(path)
    problems: list[str] = []
    defaults = _policy("[defaults]", tables.get("defaults", {}), DEFAULT_POLICY, problems)
    by_number: dict[str, Policy] = {}
    for name, table in tables.items():
        if name == "defaults":
            continue
        if _NUMBER.fullmatch(name) is None:
            problems.append(
                f'[{name}] is no table of this file: allowed are [defaults] and ["+15550100"], an E.164 number'
            )
            continue
        by_number[name] = _policy(f'["{name}"]', table, defaults, problems)
    if problems:
        raise SettingsError("\n".join((f"{path} cannot work:", *(f"    {problem}" for problem in problems))))
    return Policies(defaults, by_number)


def _policy(where: str, table: object, base: Policy, problems: list[str]) -> Policy:
    if not isinstance(table, Mapping):
        problems.append(f"{where} must be a table")
        return base
    values: dict[str, Any] = {}
    for key, given in table.items():
        found = _read_key(where, key, given)
        if isinstance(found, str):
            problems.append(found)
        else:
            values[key] = found.value
    policy = msgspec.structs.replace(base, **values)
    problems += [f"{where} {text}" for text in _contradictions(policy, frozenset(values))]
    return policy


def _read_key(where: str, key: str, given: object) -> Read | str:
    rule = RULES.get(key)
    if rule is None:
        return f"{where} {key} = {_shown(given)} is unknown: allowed are {', '.join(RULES)}"
    found = rule.read(given)
    if found is None:
        return f"{where} {key} = {_shown(given)}: allowed is {rule.allowed}"
    if found.value == getattr(DEFAULT_POLICY, key):
        return found
    available = AVAILABLE.get(key, frozenset())
    if available is ANY or found.kinds <= available:
        return found
    offered = ", ".join(sorted(available)) or f"the default, {_shown(getattr(DEFAULT_POLICY, key))}"
    return f"{where} {key} = {_shown(given)} is not available in this version: available is {offered}"


def _contradictions(policy: Policy, named: frozenset[str]) -> Iterator[str]:
    for action, limit in (("hold_max", "hold_max_s"), ("consult_limit", "consult_limit_s")):
        chosen = getattr(policy, action) != getattr(DEFAULT_POLICY, action)
        if action in named and chosen and not getattr(policy, limit):
            yield f"{action} = {_shown(getattr(policy, action))} never happens: {limit} is 0; allowed is 1 or more"
    if 0 < policy.hold_max_s <= policy.hold_reminder_s and named & {"hold_max_s", "hold_reminder_s"}:
        yield (
            f"hold_reminder_s = {policy.hold_reminder_s} never happens: hold_max_s is {policy.hold_max_s}; "
            f"allowed is less than that"
        )
    if "orphan" in named and "announce_end" in policy.orphan[:-1]:
        yield f'orphan = {_shown(list(policy.orphan))}: nothing comes after "announce_end"; allowed is to put it last'
    if "orphan" in named and len(set(policy.orphan)) < len(policy.orphan):
        yield f"orphan = {_shown(list(policy.orphan))} names one twice; allowed is each of them once"


def _shown(value: object) -> str:
    return repr(value)[:120].replace("'", '"')
