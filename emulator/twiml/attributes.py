"""Reading one TwiML element: typed attributes, its own text, warnings for what is unknown."""

from xml.etree import ElementTree as ET

from emulator.errors import Alert, DocumentError


class Attributes:
    """Reads the attributes of one element; what nobody asked for becomes a warning."""

    def __init__(self, element: ET.Element, harmless: frozenset[str] = frozenset()) -> None:
        self._element = element
        self._known = set(harmless)
        self._strange: list[str] = []

    def text(self, name: str, default: str = "") -> str:
        """Return an attribute, or the default."""
        self._known.add(name)
        return self._element.get(name, default)

    def maybe(self, name: str) -> str | None:
        """Return an attribute, None when it is not there."""
        self._known.add(name)
        return self._element.get(name)

    def flag(self, name: str, *, default: bool) -> bool:
        """Return a boolean; 12200 for anything else."""
        value = self.text(name, "true" if default else "false").lower()
        if value not in {"true", "false"}:
            raise DocumentError(Alert.SCHEMA, f"<{self._element.tag} {name}={value!r}>: expected true or false")
        return value == "true"

    def number(self, name: str, default: float) -> float:
        """Return a number; 12200 for anything else."""
        value = self.text(name, str(default))
        try:
            return float(value)
        except ValueError:
            detail = f"<{self._element.tag} {name}={value!r}>: expected a number"
            raise DocumentError(Alert.SCHEMA, detail) from None

    def words(self, name: str, default: str = "", known: frozenset[str] | None = None) -> frozenset[str]:
        """Return a space-separated list; words that are none of the known ones become a warning and are left out."""
        given = frozenset(self.text(name, default).split())
        if known is None or given <= known:
            return given
        strange = " ".join(sorted(given - known))
        self._strange.append(f"<{self._element.tag} {name}>: {strange}: expected some of {' '.join(sorted(known))}")
        return given & known

    def method(self, name: str = "method", default: str = "POST") -> str:
        """Return an HTTP method."""
        return self.text(name, default).upper()

    def leftovers(self) -> list[str]:
        """Return a warning for each attribute that nobody asked for, and for strange words."""
        return self._strange + [
            f"<{self._element.tag}>: unknown attribute {name!r}"
            for name in self._element.attrib
            if name not in self._known
        ]


def own_text(element: ET.Element) -> str:
    """Return an element's text without the space around it."""
    return "".join(element.itertext()).strip()
