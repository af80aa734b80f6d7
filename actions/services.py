"""What all partitions of a process share: the accounts' sessions and doors, and the calls that are known to be ours."""

from collections import OrderedDict
from types import TracebackType
from typing import Self

from actions.account import TwilioAccount
from actions.config import ActionsConfig
from actions.gate import Gate

_MAX_CLAIMED = 50_000


class ClaimedCalls:
    """CallSids that belong to some action: a look for another action must not take them for its own. Bounded."""

    def __init__(self, limit: int = _MAX_CLAIMED) -> None:
        self._limit = limit
        self._sids: OrderedDict[str, None] = OrderedDict()

    def add(self, sid: str) -> None:
        """Remember `sid`; the oldest ones are forgotten beyond the bound."""
        self._sids[sid] = None
        self._sids.move_to_end(sid)
        if len(self._sids) > self._limit:
            self._sids.popitem(last=False)

    def __contains__(self, sid: object) -> bool:
        return sid in self._sids


class ActionServices:
    """Sessions to Twilio, one per account. `async with` inside the running loop."""

    def __init__(self, config: ActionsConfig) -> None:
        self.config = config
        self.claimed = ClaimedCalls()
        self._accounts: dict[str, tuple[TwilioAccount, Gate]] = {}

    def of(self, account_sid: str) -> tuple[TwilioAccount, Gate] | None:
        """The session and the door of an account, None for one that is not configured."""
        return self._accounts.get(account_sid)

    async def __aenter__(self) -> Self:
        """Open the sessions."""
        for account in self.config.accounts:
            gate = Gate(account.calls_per_second, self.config.concurrency, account.sid)
            self._accounts[account.sid] = (TwilioAccount(account, self.config), gate)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close them."""
        for account, _ in self._accounts.values():
            await account.close()
        self._accounts.clear()
