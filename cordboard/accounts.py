"""The Twilio accounts that we answer for: which secrets verify and sign, which number dials, how fast."""

from collections.abc import Iterable, Iterator

import msgspec


class Account(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """One account or subaccount.

    Every one of `auth_tokens` verifies, the first one authenticates REST requests unless an API key is set.
    `shared_keys` maps key id to secret. Secrets never appear in `repr`.
    """

    sid: str
    auth_tokens: tuple[str, ...] = ()
    api_key: str | None = None
    api_secret: str | None = None
    shared_keys: dict[str, str] = {}
    number: str = ""
    calls_per_second: float = 1.0
    taskrouter_workspace: str | None = None
    taskrouter_workflow: str | None = None

    @property
    def rest_credentials(self) -> tuple[str, str]:
        """User and password for REST: the API key when there is one, else SID and first token."""
        if self.api_key and self.api_secret:
            return self.api_key, self.api_secret
        return self.sid, self.auth_tokens[0] if self.auth_tokens else ""

    def __repr__(self) -> str:
        """Only what may be seen."""
        return f"Account(sid={self.sid!r})"


class Accounts:
    """Accounts by SID. The first one is the default for calls that begin with a command."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._by_sid = {account.sid: account for account in accounts}

    def get(self, sid: str) -> Account | None:
        """The account of an `AccountSid`, or None for one that is not ours."""
        return self._by_sid.get(sid)

    @property
    def default(self) -> Account:
        """The first account. Raises `LookupError` when there is none."""
        for account in self._by_sid.values():
            return account
        message = "no Twilio account is configured: set CORDBOARD_TWILIO_ACCOUNT_SID"
        raise LookupError(message)

    def __iter__(self) -> Iterator[Account]:
        """All accounts."""
        return iter(self._by_sid.values())

    def __len__(self) -> int:
        """How many accounts there are."""
        return len(self._by_sid)
