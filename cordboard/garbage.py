"""How often Python looks for cyclic garbage: set once by each process when it is up."""

import gc

_NEW_OBJECTS = 10_000
_YOUNG_PER_MIDDLE = 20
_MIDDLE_PER_FULL = 50


def collect_seldom() -> None:
    """Leave what the start made alone for good, and look for cycles less often.

    Under load every request makes some dozens of objects that live until the log acknowledges; with Python's first
    threshold of 700 most of what a collection walks through is still in use. Cycles are rare here: what they hold waits
    a little longer, at most some 10,000 objects of the youngest generation.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, _YOUNG_PER_MIDDLE, _MIDDLE_PER_FULL)
