"""What a REST request came to: an answer with its status, or none, and whether anything may have been written.

Pure data. What it means for an action is judged in `outcome.py`; where it comes from is `transport.py`.
"""

import msgspec

from cordboard.errors import CordboardError

TOO_LATE = "deadline"
"""The cause of a silence of our own: the time in which the request had to begin was over."""


class Answer(msgspec.Struct, frozen=True):
    """An HTTP answer. `code` is Twilio's error code, `readable` is false for a 2xx whose body said nothing usable.

    `etag` is the version of the resource, where Twilio tells one (TaskRouter).
    """

    status: int
    code: int | None = None
    retry_after_s: float | None = None
    request_id: str | None = None
    readable: bool = True
    etag: str | None = None


class Silence(msgspec.Struct, frozen=True):
    """No answer. `written` false proves that not one byte of the request has left; `cause` is a short word."""

    cause: str
    written: bool


Heard = Answer | Silence


class RequestFailedError(CordboardError):
    """A REST request that did not succeed, with what was heard of it. It always ends in a report."""

    def __init__(self, operation: str, heard: Heard) -> None:
        super().__init__(f"{operation}: {heard}")
        self.operation = operation
        self.heard = heard
