"""What the core is told at start: immutable, part of no record."""

import msgspec

from schemas.policy import Policies


class CoreConfig(msgspec.Struct, frozen=True):
    """`account_sid` and `number` are the defaults for calls that begin with a command."""

    policies: Policies = Policies()
    account_sid: str = ""
    number: str = ""
    queues: bool = False
