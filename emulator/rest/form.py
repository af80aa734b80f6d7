"""Reading a REST request's form: typed values, Twilio's errors for bad ones, 501 for what is not emulated."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web

from emulator.entities import Subscription
from emulator.errors import RestError, not_emulated
from emulator.rest import values

PREFIX = "/2010-04-01"
FORM_TYPE = "application/x-www-form-urlencoded"
PHONE = re.compile(r"^\+[1-9]\d{1,14}$")


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of one operation: those with an effect here, and those known to have none."""

    emulated: frozenset[str]
    harmless: frozenset[str] = frozenset()


class Form:
    """A request's fields; a name may repeat."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self.pairs = pairs
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def check(self, known: Parameters, resource: str) -> None:
        """Refuse parameters that would be ignored, and values that cannot be right.

        Raises:
            RestError: 501 naming the parameter; 400 as ``values.check`` says.

        """
        for name in self._values:
            if name not in known.emulated and name not in known.harmless:
                raise not_emulated(f"the parameter {name} of {resource}")
        for name, value in self.pairs:
            values.check(name, value)

    def __contains__(self, name: str) -> bool:
        """Tell whether the field was sent, even empty."""
        return name in self._values

    def text(self, name: str, default: str = "") -> str:
        """Return the field's last value."""
        return self._values.get(name, [default])[-1]

    def required(self, name: str, code: int) -> str:
        """Return the field's value.

        Raises:
            RestError: 400 with the given code when it is missing or empty.

        """
        value = self.text(name)
        if not value:
            raise RestError(400, code, f"A '{name}' parameter is required")
        return value

    def many(self, name: str) -> frozenset[str]:
        """Return all values of a repeated field."""
        return frozenset(value for value in self._values.get(name, ()) if value)

    def flag(self, name: str, *, default: bool) -> bool:
        """Return a boolean; anything but ``true`` is false, as with Twilio."""
        return self.text(name).lower() == "true" if name in self._values else default

    def seconds(self, name: str, default: int, low: int, high: int, code: int) -> int:
        """Return a whole number of seconds within its range."""
        value = self.text(name, str(default))
        if not value.isdigit() or not low <= int(value) <= high:
            raise RestError(400, code, f"Invalid {name} '{value}': expected {low} to {high}")
        return int(value)

    def method(self, name: str, default: str = "POST") -> str:
        """Return GET or POST."""
        value = self.text(name, default).upper() or default
        if value not in values.METHODS:
            raise RestError(400, 20001, f"Invalid {name} '{value}': expected GET or POST")
        return value

    def choice(self, name: str, allowed: frozenset[str], default: str = "") -> str:
        """Return one of the allowed words."""
        value = self.text(name, default)
        if value and value not in allowed:
            raise RestError(400, 20001, f"Invalid {name} '{value}': expected one of {sorted(allowed)}")
        return value

    def url(self, name: str, code: int = 21205) -> str:
        """Return an absolute http(s) URL, or nothing."""
        value = self.text(name)
        if value:
            values.check_url(name, value, code)
        return value

    def subscription(self, prefix: str, words: frozenset[str], default: frozenset[str]) -> Subscription:
        """Return a callback and its events: ``<prefix>``, ``<prefix>Method``, ``<prefix>Event``.

        Raises:
            RestError: 21609 for a bad URL (an underscore in the host too), 21626 for an unknown event.

        """
        url = self.url(prefix, 21609)
        if url and "_" in (urlsplit(url).hostname or ""):
            raise RestError(400, 21609, f"{prefix}: the host may not contain an underscore")
        events = frozenset(word for value in self.many(f"{prefix}Event") for word in value.split())
        if events - words:
            raise RestError(400, 21626, f"Invalid {prefix}Event {sorted(events - words)}: expected {sorted(words)}")
        return Subscription(url, self.method(f"{prefix}Method"), events or default)


async def read_form(request: web.Request) -> Form:
    """Read the body of a POST; blank values count.

    Raises:
        RestError: 415 for a body that is not a form.

    """
    if request.can_read_body and request.content_type != FORM_TYPE:
        raise RestError(415, 20001, f"Content type {request.content_type!r}: expected {FORM_TYPE}")
    return Form(parse_qsl(await request.text(), keep_blank_values=True))


def phone_or_address(value: str) -> bool:
    """Tell whether a value is an E.164 number, a client, a SIP address or an application."""
    return PHONE.match(value) is not None or value.partition(":")[0] in {"client", "sip", "sips", "app"}


def boolean_filter(query: Mapping[str, str], name: str) -> bool | None:
    """Return a list filter's boolean, None when it is not there."""
    return query[name].lower() == "true" if name in query else None
