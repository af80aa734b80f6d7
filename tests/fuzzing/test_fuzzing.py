"""Damaged input of every kind: nothing raises, nothing unsigned is recorded, nothing hangs or grows."""

import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

from fuzzing import surfaces
from fuzzing.__main__ import SHARES, cases_of, chunks, main, run_chunk
from fuzzing.surfaces import SURFACES
from fuzzing.wire import wire
from ingress import twiml
from ingress.signature import Verifier
from schemas.targets import Target, TargetKind

CASES = int(os.environ.get("FUZZING_CASES", "100000"))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_whatever_arrives_is_taken_or_refused() -> None:
    """100,000 cases over all surfaces; each that fails is named so that `make fuzz CASES=…` shows it alone."""
    with ProcessPoolExecutor(2) as pool:
        bad = [failure for failures in pool.map(run_chunk, chunks(range(CASES))) for failure in failures]
    assert not bad, "\n".join(bad[:20])


@pytest.mark.parametrize("surface", SURFACES)
def test_a_few_cases_at_once(surface: str) -> None:
    """The first cases of each surface, for `make fast`."""
    assert run_chunk((surface, range(100))) == []


def test_every_surface_has_its_share() -> None:
    """A hundred cases in a hundred, and none twice when a range goes on where another one ended."""
    assert sum(SHARES.values()) == 100
    assert SHARES.keys() == {*SURFACES, "wire"}
    once = [(surface, number) for part in (range(500), range(500, 1000)) for surface, n in chunks(part) for number in n]
    assert len(set(once)) == len(once) == 1000


def _drop_blanks(pairs: Sequence[tuple[str, str]]) -> str:
    return "".join(sorted(name + value for name, value in set(pairs) if value))


HOLES: dict[str, tuple[object, str, Any]] = {
    "forms": (surfaces, "joined", _drop_blanks),
    "signatures": (Verifier, "_by_token", lambda *_: None),
    "commands": (surfaces, "InvalidCloudEventError", ZeroDivisionError),
    "targets": (surfaces, "parse_target", lambda text: Target(TargetKind.PHONE, text)),
    "webhooks": (surfaces, "UnplaceableError", ZeroDivisionError),
    "documents": (twiml, "document", lambda root: f"<Response>{root[0].text}</Response>".encode()),
    "policies": (surfaces, "SettingsError", ZeroDivisionError),
}


@pytest.mark.parametrize("surface", HOLES)
def test_a_hole_is_found(surface: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each rule is one that can be broken: with a hole in what it guards, cases fail."""
    assert HOLES.keys() == SURFACES.keys()
    monkeypatch.setattr(*HOLES[surface])
    assert run_chunk((surface, range(200)))


def test_an_unsigned_record_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ingress that believes everybody is found by what it has recorded."""
    monkeypatch.setattr(Verifier, "check", lambda *_, **__: None)
    assert any("nobody has signed it" in line for line in asyncio.run(wire(range(300))))


def test_cases_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    """A number, a range or one case; anything else is told what is expected."""
    assert cases_of("1000") == range(1000)
    assert cases_of("10-20") == range(10, 20)
    assert main(["targets:17"]) == 0
    assert capsys.readouterr().err == "good\n"
    assert main(["nobody:1"]) == 2
    assert main(["all"]) == 2
    assert "expected 100000, a range" in capsys.readouterr().err
