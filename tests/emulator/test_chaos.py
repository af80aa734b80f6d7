"""Chaos: misbehaviour by chance, within its chances, repeatable by its seed."""

from collections import Counter

from emulator import Chaos
from emulator.faults import Effect, Faults
from emulator_bench import NUMBER, TARGET, Bench, BenchFactory

FORM = {"To": TARGET, "From": NUMBER, "Twiml": "<Response/>"}


def test_chances_are_kept() -> None:
    """Over many draws each effect comes about as often as its chance says, and GET is left alone."""
    faults = Faults(Chaos(callback_drop=0.25, callback_double=0.25, rest_answer_lost=1.0), seed=1)
    drawn = Counter(
        fault.effect if (fault := faults.for_callback("POST", "u", "call", "completed")) else None for _ in range(4000)
    )
    assert set(drawn) == {Effect.DROP, Effect.DOUBLE, None}
    assert all(800 < count < 1200 for effect, count in drawn.items() if effect)
    lost = faults.for_rest("POST", "/Calls.json")
    assert lost is not None
    assert lost.effect is Effect.ANSWER_LOST
    assert faults.for_rest("GET", "/Calls.json") is None


def test_a_seed_repeats_it() -> None:
    """The same seed draws the same misbehaviour."""

    def draw(seed: int) -> list[bool]:
        faults = Faults(Chaos(callback_drop=0.5), seed=seed)
        return [faults.for_callback("POST", "u", "call", "x") is not None for _ in range(64)]

    assert draw(5) == draw(5)
    assert draw(5) != draw(6)


async def test_chaos_by_configuration_and_control(start: BenchFactory) -> None:
    """Chaos comes with the configuration and goes through the control route."""
    bench = await start(Bench.config(chaos=Chaos(rest_too_many=1.0)))
    assert (await bench.rest("POST", "/Calls.json", FORM))[0] == 429
    assert (await bench.control("PUT", "/chaos", {}))[0] == 200
    assert (await bench.rest("POST", "/Calls.json", FORM))[0] == 201
    assert (await bench.control("PUT", "/chaos", {"callback_drop": 1.5}))[0] == 422


async def test_every_callback_doubled(start: BenchFactory) -> None:
    """Everything doubled: each callback arrives twice, in order."""
    bench = await start(Bench.config(chaos=Chaos(callback_double=1.0)))
    form = {**FORM, "StatusCallback": bench.url("/cb"), "StatusCallbackEvent": "initiated ringing answered completed"}
    await bench.rest("POST", "/Calls.json", form)
    await bench.until(lambda: len(bench.site.got("/cb")) == 8, "eight callbacks")
    assert [hit.params["SequenceNumber"] for hit in bench.site.got("/cb")] == list("00112233")
