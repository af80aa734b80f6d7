"""Lines that anybody can cause stay few, and none is forgotten."""

from ingress.seldom import LINES_PER_SECOND, Seldom


def test_lines_of_one_second_are_bounded_and_counted() -> None:
    """Ten lines a second are written; how many were left out stands in the first line after."""
    now = [5.0]
    seldom = Seldom(lambda: now[0])
    assert [seldom.next() for _ in range(LINES_PER_SECOND + 3)] == [0] * LINES_PER_SECOND + [None] * 3
    now[0] = 6.5
    assert [seldom.next(), seldom.next()] == [3, 0]
