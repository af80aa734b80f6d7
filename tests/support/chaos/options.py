"""What a chaos run is told: `WEBHOOKS=250000 KILLS=60 BROKERS=1 SEED=1`, as words of make."""

from collections.abc import Iterable

import msgspec


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much, how bad, on what. The load ends when Twilio has heard `webhooks` answers; faults are spread over it."""

    webhooks: int = 250_000
    kills: int = 60
    """kill -9. Stops, cuts, delays and rolling restarts come on top, in proportion."""
    brokers: int = 1
    together: bool = False
    """Two processes that are everything (`cordboard run`), and not two of each service."""
    seed: int = 1
    rate: float = 10.0
    """Calls begun a second, as long as no more than `at_once` are up."""
    at_once: int = 300
    takeovers: int = 5
    """How often a take-over is measured, planned and after kill -9, before the load begins."""
    minutes: float = 120.0
    """The load ends after that time too: what was reached is then what is reported."""
    report: str = "docs/reliability-report.md"
    """The page that gets this run's section; empty for none."""


class UsageError(ValueError):
    """Words that are no options."""


def read_options(words: Iterable[str]) -> Options:
    """Options of words such as `SEED=7`. Raises `UsageError`."""
    given: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name.lower() not in Options.__struct_fields__:
            names = " ".join(f"{field.upper()}=" for field in Options.__struct_fields__)
            raise UsageError(f"{word!r} is no option: expected {names}")
        if value or name.lower() == "report":
            given[name.lower()] = value
    try:
        options = msgspec.convert(given, Options, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(str(error)) from error
    if options.brokers not in {1, 3}:
        raise UsageError(f"BROKERS={options.brokers}: one, or three (replication factor 3)")
    if options.webhooks < 1 or options.kills < 0 or options.rate <= 0 or options.at_once < 1:
        raise UsageError("WEBHOOKS, RATE and AT_ONCE are at least 1, KILLS at least 0")
    return options
