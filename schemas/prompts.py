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


GOODBYE = Prompt(say="We are sorry, nobody can take your call at the moment. Please try again later. Goodbye.")
LEAVE_A_MESSAGE = Prompt(
    say="We are sorry, nobody can take your call at the moment. Please leave a message after the tone."
)
CALL_US_BACK = Prompt(say="Hello. We tried to reach you. Please call us back when it suits you. Goodbye.")
CUSTOMER_GONE = Prompt(say="The caller has hung up.")
"""What we say where the policy has no words of its own."""

UNANSWERED = {
    "busy": Prompt(say="The line is busy."),
    "no_answer": Prompt(say="Nobody has answered the call."),
    "rejected": Prompt(say="The call was declined."),
    "cancelled": Prompt(say="The call was cancelled."),
    "machine": Prompt(say="An answering machine has taken the call."),
    "failed": Prompt(say="The call could not be connected."),
}
"""What an agent hears of a customer who could not be reached, by the reason."""


def prompt_of(text: str | None) -> Prompt | None:
    """A policy's audio: a URL is played, any other text is said."""
    if text is None:
        return None
    return Prompt(play=text) if text.startswith(("http://", "https://")) else Prompt(say=text)


def checked_url(url: str, name: str) -> str:
    """`url` if it is an http(s) URL. Raises `ValueError` that names the field."""
    if _URL.fullmatch(url) is None:
        message = f"`{name}` must be an http(s) URL"
        raise ValueError(message)
    return url
