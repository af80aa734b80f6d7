"""TaskRouter's expressions over attributes: ``==  != < > <= >= HAS IN CONTAINS AND OR NOT``, brackets, lists.

Names lead into the default scope (the task's attributes in a workflow filter, the worker's in TargetWorkers);
``task.`` and ``worker.`` name the other one. Pure.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from emulator.errors import EmulatorError

TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<number>-?\d+(?:\.\d+)?)"""
    r"""|(?P<name>[A-Za-z_$][\w$]*(?:\.[\w$]+)*)|(?P<mark>==|!=|<>|<=|>=|&&|\|\||[<>=()\[\],!]))"""
)
WORDS = {"and", "or", "not", "in", "has", "contains", "true", "false", "null"}
Scope = Mapping[str, Mapping[str, object]]
Term = Callable[[Scope], object]


class ExpressionError(EmulatorError):
    """The text is no expression."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = TOKEN.match(text, at)
        if match is None:
            raise ExpressionError(f"{text!r}: cannot read {text[at : at + 12]!r}")
        at = match.end()
        kind = match.lastgroup or ""
        value = match[kind]
        is_word = kind == "name" and value.lower() in WORDS
        found.append(_Token("word", value.lower()) if is_word else _Token(kind, value))
    return found


class _Parser:
    """Recursive descent; ``scope`` is where bare names lead."""

    def __init__(self, text: str, scope: str) -> None:
        self._text = text
        self._scope = scope
        self._tokens = _tokens(text)
        self._at = 0

    def whole(self) -> Term:
        term = self._either()
        if self._at < len(self._tokens):
            raise ExpressionError(f"{self._text!r}: did not expect {self._tokens[self._at].text!r}")
        return term

    def _take(self, *texts: str) -> str | None:
        if self._at < len(self._tokens):
            token = self._tokens[self._at]
            if token.kind in {"word", "mark"} and token.text in texts:
                self._at += 1
                return token.text
        return None

    def _either(self) -> Term:
        terms = [self._both()]
        while self._take("or", "||"):
            terms.append(self._both())
        return terms[0] if len(terms) == 1 else lambda scope: any(bool(term(scope)) for term in terms)

    def _both(self) -> Term:
        terms = [self._negated()]
        while self._take("and", "&&"):
            terms.append(self._negated())
        return terms[0] if len(terms) == 1 else lambda scope: all(bool(term(scope)) for term in terms)

    def _negated(self) -> Term:
        if self._take("not", "!"):
            term = self._negated()
            return lambda scope: not term(scope)
        if self._take("("):
            term = self._either()
            self._expect(")")
            return term
        return self._comparison()

    def _expect(self, mark: str) -> None:
        if not self._take(mark):
            raise ExpressionError(f"{self._text!r}: expected {mark!r}")

    def _comparison(self) -> Term:
        left = self._operand()
        negative = self._take("not") is not None
        sign = self._take(*COMPARISONS)
        if sign is None:
            if negative:
                raise ExpressionError(f"{self._text!r}: expected IN, HAS or CONTAINS behind NOT")
            return left
        right, compare = self._operand(), COMPARISONS[sign]
        return lambda scope: compare(left(scope), right(scope)) is not negative

    def _operand(self) -> Term:
        if self._take("["):
            return self._list()
        if self._at == len(self._tokens):
            raise ExpressionError(f"{self._text!r}: ends too early")
        token = self._tokens[self._at]
        self._at += 1
        if token.kind == "text":
            value: object = re.sub(r"\\(.)", r"\1", token.text[1:-1])
        elif token.kind == "number":
            value = float(token.text)
        elif token.text in CONSTANTS:
            value = CONSTANTS[token.text]
        elif token.kind == "name":
            return self._attribute(token.text)
        else:
            raise ExpressionError(f"{self._text!r}: did not expect {token.text!r}")
        return lambda _: value

    def _list(self) -> Term:
        items: list[Term] = []
        while not self._take("]"):
            items.append(self._operand())
            if not self._take(","):
                self._expect("]")
                break
        return lambda scope: [item(scope) for item in items]

    def _attribute(self, name: str) -> Term:
        first, _, rest = name.partition(".")
        scope, path = (first, rest) if first in {"task", "worker"} and rest else (self._scope, name)
        return lambda scopes: _look_up(scopes.get(scope, {}), path)


def _look_up(values: Mapping[str, object], path: str) -> object:
    found: object = values
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _has(left: object, right: object) -> bool:
    return right in left if isinstance(left, list) else left is not None and left == right


def _contains(left: object, right: object) -> bool:
    return str(right) in left if isinstance(left, str) else _has(left, right)


def _ordered(compare: Callable[[float, float], bool]) -> Callable[[object, object], bool]:
    def ordered(left: object, right: object) -> bool:
        return isinstance(left, (int, float)) and isinstance(right, (int, float)) and compare(left, right)

    return ordered


CONSTANTS: dict[str, object] = {"true": True, "false": False, "null": None}
COMPARISONS: dict[str, Callable[[object, object], bool]] = {
    "==": lambda left, right: left == right,
    "=": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<>": lambda left, right: left != right,
    "<": _ordered(lambda left, right: left < right),
    ">": _ordered(lambda left, right: left > right),
    "<=": _ordered(lambda left, right: left <= right),
    ">=": _ordered(lambda left, right: left >= right),
    "has": _has,
    "in": lambda left, right: _has(right, left),
    "contains": _contains,
}


@lru_cache(maxsize=1024)
def _parse(text: str, scope: str) -> Term:
    return _Parser(text, scope).whole()


def check(text: str, scope: str = "task") -> None:
    """Refuse what is no expression; an empty one holds always.

    Raises:
        ExpressionError: says where it went wrong. Attribute names with a hyphen are refused here too.

    """
    if text.strip():
        _parse(text, scope)


def holds(text: str, scope: str, scopes: Scope) -> bool:
    """Tell whether an expression holds for these attributes; an empty one does."""
    return not text.strip() or bool(_parse(text, scope)(scopes))
