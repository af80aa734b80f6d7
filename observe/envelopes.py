"""The few attributes of a CloudEvent that reading needs: its kind and its call, without decoding the rest."""

from collections.abc import Iterable

import msgspec

from schemas.events import name_of
from schemas.results import RESULT_TYPE


class Heading(msgspec.Struct, frozen=True, gc=False):
    """What an event is filtered by."""

    id: str
    type: str
    subject: str | None = None


_heading = msgspec.json.Decoder(Heading)


def heading_of(value: bytes | None) -> Heading | None:
    """The heading of an encoded CloudEvent, None for bytes that are not one."""
    try:
        return _heading.decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


class TypeFilter:
    """Which types somebody wants: full types, short names (`call.held`, `result`), or all of a kind (`transfer.*`)."""

    def __init__(self, wanted: Iterable[str]) -> None:
        self._exact = {name for name in wanted if not name.endswith("*")}
        self._prefixes = tuple(name[:-1] for name in wanted if name.endswith("*"))

    def takes(self, event_type: str) -> bool:
        """Whether an event of this type passes. Everything does when nothing was named."""
        if not self._exact and not self._prefixes:
            return True
        short = "result" if event_type == RESULT_TYPE else (name_of(event_type) or event_type)
        return not self._exact.isdisjoint((event_type, short)) or (
            bool(self._prefixes) and (short.startswith(self._prefixes) or event_type.startswith(self._prefixes))
        )
