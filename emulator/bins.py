"""TwiML Bins: documents that Twilio keeps itself, here by a name of one's own.

``https://handler.twilio.com/twiml/NAME`` is answered inside the emulator and never leaves it. As at Twilio,
``{{From}}`` in a bin stands for the request's parameter of that name.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from xml.sax.saxutils import escape

from emulator.errors import EmulatorError

BASE = "https://handler.twilio.com/twiml/"
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PLACE = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_QUOTES = {'"': "&quot;", "'": "&apos;"}


class BinNameError(EmulatorError):
    """A bin's name is not fit for a URL."""


class Bins:
    """The account's TwiML Bins."""

    def __init__(self, documents: Mapping[str, str]) -> None:
        self._documents: dict[str, str] = {}
        for name, text in documents.items():
            self.put(name, text)

    def put(self, name: str, text: str) -> str:
        """Keep a document and return its URL.

        Raises:
            BinNameError: 1 to 64 letters, digits, ``-`` and ``_`` are expected.

        """
        if not NAME.fullmatch(name):
            raise BinNameError(f"TwiML Bin {name!r}: expected 1 to 64 letters, digits, - and _")
        self._documents[name] = text
        return BASE + name

    def answer(self, url: str, params: Mapping[str, str]) -> tuple[HTTPStatus, bytes] | None:
        """Return status and body for a request to a bin's URL; None for any other URL."""
        if not url.startswith(BASE):
            return None
        text = self._documents.get(url.removeprefix(BASE).partition("?")[0])
        if text is None:
            return HTTPStatus.NOT_FOUND, b""
        return HTTPStatus.OK, _PLACE.sub(lambda place: escape(params.get(place[1], ""), _QUOTES), text).encode()
