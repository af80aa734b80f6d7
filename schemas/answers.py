"""What a command was answered, as the state of the call keeps it."""

import msgspec


class Answer(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A result that was given, kept so that a repeated command gets the same again."""

    key: str
    outcome: str
    reason: str | None = None
    state: str | None = None
    allowed: tuple[str, ...] = ()
    detail: str | None = None
