"""Damage: a sample cut, doubled, spliced with another one, and spiked with what parsers trip over."""

from random import Random
from typing import TypeVar, cast

_T = TypeVar("_T", str, bytes)

SPIKES = (
    "", "&", "=", "%", "%0", "%00", "%0d%0a", "%ff", "%c3%28", "+", ";", "?", "#", "/", "\\", "'", '"', "<", ">", "]]>",
    "<!--", "&amp;", "&#0;", "</Response><Dial>+15550666</Dial>", "{", "}", "[", "]", "null", "true", "NaN", "-1", "0",
    "1e999", "9" * 40, "\x00", "\r\n", "\t", "\u2028", "\ufeff", "\udcff", "\\ud800", "é", "🦊",
    "A" * 300, "../", "${x}", "{{x}}",
    "call=CA", "AccountSid=", "CallSid=", "SequenceNumber=", "leg=agent-1", "bodySHA256=", "key=CR1,algorithm=HMAC_MD5",
)  # fmt: skip
MOST_WOUNDS = 5


def random_of(case: str) -> Random:
    """What decides a case: the same every time."""
    return Random(case)  # noqa: S311 - to be foreseen is the point


def damaged(random: Random, samples: tuple[_T, ...]) -> _T:
    """One of the samples with one to five wounds."""
    sample = random.choice(samples)
    for _ in range(random.randint(1, MOST_WOUNDS)):
        sample = _wound(random, sample, samples)
    return sample


def _wound(random: Random, sample: _T, samples: tuple[_T, ...]) -> _T:
    begin, end = sorted((random.randint(0, len(sample)), random.randint(0, len(sample))))
    spike = cast("_T", _spike(random, sample))
    match random.randrange(6):
        case 0:
            return sample[:begin] + sample[end:]
        case 1:
            return sample[:end] + sample[begin:]
        case 2:
            return sample[:begin]
        case 3:
            other = random.choice(samples)
            return sample[:begin] + other[random.randint(0, len(other)) :]
        case 4:
            return sample[:begin] + spike + sample[begin:]
        case _:
            return sample[:begin] + spike + sample[end:]


def _spike(random: Random, like: str | bytes) -> str | bytes:
    spike = chr(random.randrange(256)) if random.random() < 0.2 else random.choice(SPIKES)
    return spike.encode("utf-8", "surrogateescape") if isinstance(like, bytes) else spike
