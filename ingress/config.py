"""What the ingress is told. Read from the environment by `cordboard.settings`; nothing here has a secret's default."""

import msgspec

from cordboard.accounts import Accounts
from schemas.policy import Policies

ACK_TIMEOUT_S = 3.0
"""How long a record may wait for the log: Twilio waits 4 s for an answer (`schemas.routes.RETRY_FRAGMENT`)."""


class IngressConfig(msgspec.Struct, frozen=True, kw_only=True):
    """`public_url` is how Twilio reaches us, without a trailing slash. Port 0 takes a free one. Times in seconds.

    `max_in_flight` signed callbacks are handled at once, half as many TwiML requests more; what comes on top gets 503.
    """

    public_url: str
    accounts: Accounts
    policies: Policies = Policies()
    host: str = "127.0.0.1"
    port: int = 8080
    command_deadline_s: float = 60.0
    ack_timeout_s: float = ACK_TIMEOUT_S
    body_timeout_s: float = 5.0
    max_in_flight: int = 500
