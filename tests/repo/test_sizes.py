"""Files and functions stay small enough to be read at once (exemplars.md, principle 22)."""

import ast
from collections.abc import Iterator

from checkout import python_sources

_FILE_LINES = 350
_FUNCTION_LINES = 60


def test_files_stay_within_the_budget() -> None:
    """No Python file is longer than 350 lines."""
    long = {name: lines for name, text in python_sources().items() if (lines := len(text.splitlines())) > _FILE_LINES}

    assert long == {}, f"split these (limit {_FILE_LINES} lines)"


def test_functions_stay_within_the_budget() -> None:
    """No function, from its first to its last line, is longer than 60 lines."""
    long = {
        f"{name}:{function.lineno} {function.name}": lines
        for name, text in python_sources().items()
        for function, lines in _functions(text)
        if lines > _FUNCTION_LINES
    }

    assert long == {}, f"keep the branches, move straight-line work into helpers (limit {_FUNCTION_LINES} lines)"


def test_the_measure_counts_what_it_should() -> None:
    """A function is measured from its def to its last line, a nested one as well; the measure can fail."""
    body = "\n".join(["@a", "def outer():", "    def inner():", *["        x = 1"] * 3])

    assert [(function.name, lines) for function, lines in _functions(body)] == [("outer", 5), ("inner", 4)]


def _functions(text: str) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, int]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node, (node.end_lineno or node.lineno) - node.lineno + 1
