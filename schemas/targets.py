"""Who can be called: `phone:+E164`, `sip:user@host`, `client:identity`, `queue:NAME`, `app:AP…?key=value`."""

import re
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

TARGET_PATTERN = (
    r"^(phone:\+[1-9][0-9]{1,14}|sip:[^@\s:?\x00-\x1f\x7f]{1,128}@[^@\s\x00-\x1f\x7f]{1,200}"
    r"|client:[A-Za-z0-9_.@+%-]{1,121}|queue:[^\s/?#\x00-\x1f\x7f]{1,64}"
    r"|app:AP[0-9a-fA-F]{32}(\?[^\s#\x00-\x1f\x7f]{1,800})?)\Z"
)
TargetText = Annotated[
    str, Meta(pattern=TARGET_PATTERN, description="phone:+E164, sip:user@host, client:identity, queue:NAME or app:AP…")
]
TARGET = re.compile(TARGET_PATTERN)
ENQUEUE = "enqueue:"
"""Prefix of a route that puts the caller into TaskRouter's own queue (`<Enqueue>`). It is no target of a command."""


class TargetKind(StrEnum):
    """What a target is; decides how it is reached."""

    PHONE = "phone"
    SIP = "sip"
    CLIENT = "client"
    QUEUE = "queue"
    APP = "app"


class InvalidTargetError(ValueError):
    """Text that names nobody who can be called."""


class Target(msgspec.Struct, frozen=True, gc=False):
    """A parsed target. `address` is what stands behind the kind: `+1555…`, `user@host`, `identity`, `NAME`, `AP…?…`."""

    kind: TargetKind
    address: str

    def __str__(self) -> str:
        """The target as it is written in commands."""
        return f"{self.kind.value}:{self.address}"

    @property
    def twilio_address(self) -> str:
        """What Twilio's `To` wants: the bare number for a phone, the prefixed form for the rest."""
        return self.address if self.kind is TargetKind.PHONE else str(self)


def parse_target(text: str) -> Target:
    """`text` as a target. Raises `InvalidTargetError` that says what is allowed."""
    if TARGET.fullmatch(text) is None:
        message = (
            f"{text[:80]!r} is not a target: expected phone:+E164, sip:user@host, client:identity, queue:NAME "
            "or app:AP…?key=value"
        )
        raise InvalidTargetError(message)
    kind, _, address = text.partition(":")
    return Target(TargetKind(kind), address)


def target_of_address(address: str) -> Target | None:
    """The target behind a Twilio `From` or `To`, or None for a withheld or odd one (`anonymous`, a short code)."""
    text = address if ":" in address else f"phone:{address}"
    return parse_target(text) if TARGET.fullmatch(text) else None
