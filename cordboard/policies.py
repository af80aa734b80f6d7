"""The policy file: TOML into `schemas.policy.Policies` (contracts.md section 6), every key and value checked.

What a policy means is the engine's business. Here stands what can be written, and which keys contradict one another.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from cordboard.accounts_file import read_toml
from cordboard.errors import SettingsError
from schemas.policy import DEFAULT_POLICY, Conversation, Policies, Policy, SupervisionRights
from schemas.prompts import checked_url
from schemas.targets import ENQUEUE, TARGET_PATTERN

_NUMBER = re.compile(r"\+[1-9][0-9]{1,14}")
_TARGET = re.compile(TARGET_PATTERN)
_CONVERSATION = re.compile(r"conversation:IS[0-9a-fA-F]{32}")
_ENQUEUE = re.compile(ENQUEUE + r"[^\s/?#\x00-\x1f\x7f]{1,64}")
_DAY_S = 86_400
MOST_SAID = 1_000


class _Rule(msgspec.Struct, frozen=True):
    """`read` gives a value as the policy holds it; it raises `ValueError`, with words or without, for what is none."""

    allowed: str
    read: Callable[[object], Any]


def _seconds(low: int, high: int = _DAY_S) -> _Rule:
    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError
        return value

    return _Rule(f"whole seconds, {low} to {high}", read)


def _word(*words: str) -> _Rule:
    def read(value: object) -> str:
        if value not in words:
            raise ValueError
        return str(value)

    return _Rule(" or ".join(f'"{word}"' for word in words), read)


def _kind_of_target(text: object) -> str:
    if isinstance(text, str) and _CONVERSATION.fullmatch(text):
        return "conversation"
    if isinstance(text, str) and _ENQUEUE.fullmatch(text):
        return "enqueue"
    if isinstance(text, str) and _TARGET.fullmatch(text):
        return text.partition(":")[0]
    raise ValueError


def _read_route(value: object) -> tuple[str, ...]:
    if value == "wait":
        return ("wait",)
    targets = value if isinstance(value, list) else [value]
    kinds = {_kind_of_target(target) for target in targets}
    if not kinds or (kinds & {"queue", "app", "conversation", "enqueue"} and len(targets) > 1):
        raise ValueError
    return tuple(targets)


def _read_max_wait(value: object) -> str:
    if value not in {"voicemail", "announce_end"} and _kind_of_target(value) in {"conversation", "enqueue"}:
        raise ValueError
    return str(value)


def _read_orphan(value: object) -> tuple[str, ...]:
    allowed = {"recall", "requeue", "voicemail", "announce_end"}
    if not isinstance(value, list) or not value or not all(isinstance(word, str) and word in allowed for word in value):
        raise ValueError
    return tuple(value)


def _read_audio(value: object) -> str:
    if isinstance(value, str):
        return checked_url(value, "audio")
    if not isinstance(value, dict) or set(value) != {"say"}:
        raise ValueError
    text = value["say"]
    if not isinstance(text, str) or not 0 < len(text) <= MOST_SAID or text.startswith(("http://", "https://")):
        raise ValueError
    return text


def _table_of(kind: type[msgspec.Struct]) -> Callable[[object], msgspec.Struct]:
    def read(value: object) -> msgspec.Struct:
        return msgspec.convert(value, kind)

    return read


_AUDIO = _Rule('an http(s) URL, or { say = "…" }', _read_audio)
RULES: dict[str, _Rule] = {
    "route": _Rule(
        '"wait", a list of targets, "queue:NAME", "enqueue:NAME", "app:AP…?…" or "conversation:IS…"', _read_route
    ),
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
    "unanswered": _word("end", "announce"),
    "machine": _word("off", "hang_up", "voicemail_message"),
    "machine_message": _AUDIO,
    "recording": _word("off", "from_connected", "from_start"),
    "max_pause_s": _seconds(1),
    "supervision": _Rule(
        "{ monitor = […], coach = […], barge = […], follow = true or false }", _table_of(SupervisionRights)
    ),
    "conversation": _Rule(
        "{ " + ", ".join(f"{name} = …" for name in Conversation.__struct_fields__) + " }", _table_of(Conversation)
    ),
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
        try:
            values[key] = _read_key(key, given)
        except ValueError as error:
            problems.append(f"{where} {key} = {_shown(given)}{error}")
    policy = msgspec.structs.replace(base, **values)
    problems += [f"{where} {text}" for text in _contradictions(policy, frozenset(values))]
    return policy


def _read_key(key: str, given: object) -> Any:  # noqa: ANN401 - the type of the field
    """The value as the policy holds it. Raises `ValueError` with what is to be said behind the key and the value."""
    rule = RULES.get(key)
    if rule is None:
        message = f" is unknown: allowed are {', '.join(RULES)}"
        raise ValueError(message)
    try:
        return rule.read(given)
    except ValueError as error:
        why = f" ({error})" if isinstance(error, msgspec.ValidationError) else ""
        message = f": allowed is {rule.allowed}{why}"
        raise ValueError(message) from error


def _contradictions(policy: Policy, named: frozenset[str]) -> Iterator[str]:
    """What cannot be together, as far as this table names it: what is inherited may be meant for another number."""
    yield from _limits(policy, named)
    yield from _orphans(policy, named)
    yield from _machines(policy, named)
    yield from _conversations(policy, named)


def _limits(policy: Policy, named: frozenset[str]) -> Iterator[str]:
    for action, limit in (("hold_max", "hold_max_s"), ("consult_limit", "consult_limit_s"), ("max_wait", "max_wait_s")):
        chosen = getattr(policy, action) != getattr(DEFAULT_POLICY, action)
        if action in named and chosen and not getattr(policy, limit):
            yield f"{action} = {_shown(getattr(policy, action))} never happens: {limit} is 0; allowed is 1 or more"
    if 0 < policy.hold_max_s <= policy.hold_reminder_s and named & {"hold_max_s", "hold_reminder_s"}:
        yield (
            f"hold_reminder_s = {policy.hold_reminder_s} never happens: hold_max_s is {policy.hold_max_s}; "
            f"allowed is less than that"
        )
    if policy.route[0].startswith(ENQUEUE) and policy.max_wait not in {"voicemail", "announce_end"}:
        yield (
            f"max_wait = {_shown(policy.max_wait)} cannot be rung for a caller in TaskRouter's queue "
            f'(route = {_shown(policy.route[0])}); allowed is "voicemail" or "announce_end"'
        )


def _orphans(policy: Policy, named: frozenset[str]) -> Iterator[str]:
    if "orphan" in named and "announce_end" in policy.orphan[:-1]:
        yield f'orphan = {_shown(list(policy.orphan))}: nothing comes after "announce_end"; allowed is to put it last'
    if "orphan" in named and "voicemail" in policy.orphan and policy.orphan[-1] not in {"voicemail", "announce_end"}:
        yield f'orphan = {_shown(list(policy.orphan))}: nothing comes after "voicemail"; allowed is to put it last'
    if "orphan" in named and len(set(policy.orphan)) < len(policy.orphan):
        yield f"orphan = {_shown(list(policy.orphan))} names one twice; allowed is each of them once"


def _machines(policy: Policy, named: frozenset[str]) -> Iterator[str]:
    if "machine_message" in named and policy.machine != "voicemail_message":
        yield (
            f"machine_message = {_shown(policy.machine_message)} is never heard: machine is {_shown(policy.machine)}; "
            'allowed is with machine = "voicemail_message"'
        )


def _conversations(policy: Policy, named: frozenset[str]) -> Iterator[str]:
    item = policy.conversation
    if policy.service_sid is None:
        if "conversation" in named and "route" in named:
            yield (
                f"conversation is never used: route is {_shown(list(policy.route))}; "
                'allowed is with route = "conversation:IS…"'
            )
        return
    if policy.recording != "off" and named & {"route", "recording"}:
        yield (
            f"recording = {_shown(policy.recording)} never happens: a conversation has no room; allowed is "
            '"off", and conversation = { record = "record-from-answer-dual" }'
        )
    if "conversation" not in named:
        return
    if not item.recorded and (item.trim != "do-not-trim" or item.recording_events != Conversation().recording_events):
        yield (
            f"conversation: trim and recording_events never matter: record is {_shown(item.record)}; "
            'allowed is with record = "record-from-answer" or another'
        )
    if (
        not item.inbound_autocreation
        and item.routing_assignment_timeout_s != Conversation().routing_assignment_timeout_s
    ):
        yield (
            "conversation: routing_assignment_timeout_s never happens: inbound_autocreation is false; "
            "allowed is to leave it out"
        )


def _shown(value: object) -> str:
    return repr(value)[:120].replace("'", '"')
