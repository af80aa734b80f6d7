"""What the workers are told at start. Frozen values; tests shorten the times."""

import msgspec

from actions.transport import Timeouts
from cordboard.accounts import Account


class ReconcilePolicy(msgspec.Struct, frozen=True):
    """When to look for a creation whose outcome is doubtful: seconds after the doubt arose (reliability.md 3.3).

    Every look asks for the label; from the last but one on, the list of calls is asked as well. After the last look
    without a find, nothing is there as far as can be known.
    """

    looks_s: tuple[float, ...] = (0.5, 1.5, 4.0, 10.0)


class ActionsConfig(msgspec.Struct, frozen=True):
    """Settings of the action workers of one process.

    `public_url`: our side as Twilio reaches it, no trailing slash. `api_url`: None is Twilio itself. `concurrency`:
    REST requests at once per account. `queue`: actions held in memory per partition before `handle` waits. `kept_s`,
    `kept`: how long and how many finished actions a partition remembers, to answer a repeated one. `release_s`: how
    long what is in flight may take when a partition is given up; the owner's own patience is 2 s. `session_timeout_s`:
    the consumer group's; who has stood still for half of it since an intent was written makes sure of the partition.
    """

    public_url: str
    accounts: tuple[Account, ...]
    api_url: str | None = None
    timeouts: Timeouts = Timeouts()
    reconcile: ReconcilePolicy = ReconcilePolicy()
    concurrency: int = 100
    queue: int = 1000
    kept_s: float = 3600.0
    kept: int = 20_000
    release_s: float = 1.5
    session_timeout_s: float = 10.0
