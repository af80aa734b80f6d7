"""What somebody is made to hear: a text or an audio file."""

import re
from typing import Annotated

import msgspec
from msgspec import Meta

SAY_MAX_LENGTH = 4000
URL_PATTERN = r"^https?://[^\s<>\x22]{1,2000}$"
# TwiML is XML 1.0, which has no way to write these (https://www.w3.org/TR/xml/#charsets).
SAY_PATTERN = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]+$"

# `__post_init__` checks these, with words of its own; the schemas say the same.
AudioUrl = Annotated[str, Meta(extra_json_schema={"pattern": URL_PATTERN}, description="http(s) URL of an audio file.")]
SayText = Annotated[
    str,
    Meta(
        extra_json_schema={"pattern": SAY_PATTERN, "minLength": 1, "maxLength": SAY_MAX_LENGTH},
        description="Text to be spoken.",
    ),
]

_URL = re.compile(URL_PATTERN)
_SAY = re.compile(SAY_PATTERN)


class Prompt(msgspec.Struct, frozen=True, omit_defaults=True):
    """Exactly one of `say` (text, at most 4,000 characters) and `play` (URL of an audio file)."""

    say: SayText | None = None
    play: AudioUrl | None = None

    def __post_init__(self) -> None:
        """Refuse both, neither, an endless text and what is not a URL."""
        if (self.say is None) == (self.play is None):
            message = "expected exactly one of `say` and `play`"
            raise ValueError(message)
        if self.say is not None and not (len(self.say) <= SAY_MAX_LENGTH and _SAY.fullmatch(self.say)):
            message = f"`say` must have 1 to {SAY_MAX_LENGTH:,} characters and no control characters"
            raise ValueError(message)
        if self.play is not None:
            checked_url(self.play, "play")


def checked_url(url: str, name: str) -> str:
    """`url` if it is an http(s) URL. Raises `ValueError` that names the field."""
    if _URL.fullmatch(url) is None:
        message = f"`{name}` must be an http(s) URL"
        raise ValueError(message)
    return url
