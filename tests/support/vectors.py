"""The vectors beside the tests: Twilio's callbacks and SDK requests as they were recorded or documented."""

import json
from functools import cache
from pathlib import Path

import msgspec

__all__ = ["VECTORS", "Payload", "payloads"]

VECTORS = Path(__file__).parents[1] / "vectors"


class Payload(msgspec.Struct, frozen=True):
    """One callback body. `evidence`: `recorded`, `doc` or `typed-model`; values of `params` are text, as in a form."""

    id: str
    kind: str
    evidence: str
    params: dict[str, str]

    @property
    def body(self) -> bytes:
        """The form as the inbox keeps it: a JSON object of text."""
        return json.dumps(self.params).encode()


@cache
def payloads() -> tuple[Payload, ...]:
    """All callback bodies, in the order of their file."""
    lines = (VECTORS / "payloads.jsonl").read_bytes().splitlines()
    return tuple(msgspec.json.decode(line, type=Payload) for line in lines)
