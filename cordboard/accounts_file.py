"""The file of more accounts: TOML with `[[account]]` tables (contracts.md section 1).

Its secrets never show in an error.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from cordboard.accounts import Account
from cordboard.errors import SettingsError
from schemas.ids import AccountSid

_Text = Annotated[str, Meta(min_length=1)]


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `[[account]]` table as it is written."""

    sid: AccountSid
    auth_tokens: tuple[_Text, ...] = ()
    api_key: Annotated[str, Meta(pattern=r"^SK[0-9a-fA-F]{32}$")] | None = None
    api_secret: _Text | None = None
    shared_keys: dict[_Text, _Text] = {}
    number: Annotated[str, Meta(pattern=r"^\+[1-9][0-9]{1,14}$")] = ""
    calls_per_second: Annotated[float, Meta(ge=0, le=1000)] = 1.0
    taskrouter_workspace: Annotated[str, Meta(pattern=r"^WS[0-9a-fA-F]{32}$")] | None = None
    taskrouter_workflow: Annotated[str, Meta(pattern=r"^WW[0-9a-fA-F]{32}$")] | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    account: tuple[_Entry, ...]


def read_toml(path: Path) -> Mapping[str, object]:
    """The tables of a TOML file. Raises `SettingsError` that says why it cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror or 'cannot be read'}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}") from error


def read_accounts(path: Path) -> tuple[Account, ...]:
    """The accounts in `path`, in their order. Raises `SettingsError` that names table and key, not the value."""
    try:
        entries = msgspec.convert(read_toml(path), _File, strict=False).account
    except msgspec.ValidationError as error:
        raise SettingsError(f"{path}: {error}") from error
    sids = [entry.sid for entry in entries]
    twice = sorted({sid for sid in sids if sids.count(sid) > 1})
    if twice:
        raise SettingsError(f"{path}: {', '.join(twice)} stands there more than once: expected one table per account")
    return tuple(_account(path, number, entry) for number, entry in enumerate(entries, 1))


def _account(path: Path, number: int, entry: _Entry) -> Account:
    pairs = (("api_key", "api_secret"), ("taskrouter_workspace", "taskrouter_workflow"))
    for one, other in pairs:
        if (getattr(entry, one) is None) != (getattr(entry, other) is None):
            raise SettingsError(f"{path}: [[account]] number {number} needs both of {one} and {other}, or neither")
    return Account(**msgspec.structs.asdict(entry))
