"""What somebody is made to hear: a text or an audio file."""

import re

import msgspec

_URL = re.compile(r"^https?://[^\s<>\"]{1,2000}$")


class Prompt(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Exactly one of `say` (text, at most 4,000 characters) and `play` (URL of an audio file)."""

    say: str | None = None
    play: str | None = None

    def __post_init__(self) -> None:
        """Refuse both, neither, an endless text and what is not a URL."""
        if (self.say is None) == (self.play is None):
            message = "expected exactly one of `say` and `play`"
            raise ValueError(message)
        if self.say is not None and not 0 < len(self.say) <= 4000:
            message = "`say` must have 1 to 4,000 characters"
            raise ValueError(message)
        if self.play is not None:
            checked_url(self.play, "play")


def checked_url(url: str, name: str) -> str:
    """`url` if it is an http(s) URL. Raises `ValueError` that names the field."""
    if _URL.fullmatch(url) is None:
        message = f"`{name}` must be an http(s) URL"
        raise ValueError(message)
    return url
