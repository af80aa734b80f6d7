"""How far a partition has come: the lowest offset that is not finished. Pure."""


class Progress:
    """Offsets taken in order and finished in any order."""

    def __init__(self) -> None:
        self._unfinished: dict[int, None] = {}
        self._next: int | None = None

    def begin_at(self, offset: int | None) -> None:
        """Everything below `offset` is covered; None when that is not known."""
        self._next = offset

    def taken(self, offset: int) -> None:
        """A record has been taken. Offsets come in ascending order."""
        self._unfinished[offset] = None
        self._next = offset + 1

    def finished(self, offset: int) -> None:
        """A record has been dealt with for good."""
        self._unfinished.pop(offset, None)

    def floor(self) -> int | None:
        """The lowest offset that a successor would have to see; None before anything is known."""
        return next(iter(self._unfinished), self._next)
