"""What is commanded about a call in the load: one topic after the other, drawn from the seed."""

from random import Random
from typing import Any

import msgspec

from chaos.centre import QUEUE

_PEOPLE = 50
_MODES = ("monitor", "coach", "barge")
_TOPICS = ("hold", "hold", "mute", "cold", "cold", "warm", "warm", "supervise", "record", "add", "announce")


class Said(msgspec.Struct, frozen=True):
    """A command, given `after_s` seconds after what was awaited of the one before has come."""

    name: str
    data: dict[str, Any]
    after_s: float
    reached: str = ""
    """The event that is awaited; without one it is the command's result."""


def draw_connect(rng: Random) -> Said:
    """An agent is brought in, some with a whisper."""
    whisper = {"whisper": {"say": "A call"}} if rng.random() < 0.2 else {}
    return _say(rng, "call.connect", to=_somebody(rng), **whisper)


def draw_topic(rng: Random) -> list[Said]:
    """A few commands that belong together."""
    match rng.choice(_TOPICS):
        case "hold":
            return [_say(rng, "call.hold"), _say(rng, "call.resume")]
        case "mute":
            return [_say(rng, "call.mute", leg="agent"), _say(rng, "call.unmute", leg="agent")]
        case "cold":
            return [_say(rng, "call.transfer", mode="cold", targets=[_target(rng)])]
        case "warm":
            return _consultation(rng)
        case "supervise":
            return _supervision(rng)
        case "record":
            names = ("recording.start", "recording.pause", "recording.resume", "recording.stop")
            return [_say(rng, name) for name in names[: rng.choice((1, 3, 4))]]
        case "announce":
            return [_say(rng, "call.announce", say="Good day")]
        case _:
            return [_say(rng, "call.add", to=_somebody(rng)), _say(rng, "call.remove", leg="third")]


def _consultation(rng: Random) -> list[Said]:
    """A transfer that is talked about first; nobody waits for its own result, which is its end."""
    mode = rng.choice(("warm", "warm", "warm", "consult"))
    ends = ("transfer.cancel",) if mode == "consult" else ("transfer.complete", "transfer.complete", "transfer.cancel")
    between = rng.choice(([], [], ["transfer.swap"], ["transfer.merge"] if mode == "warm" else []))
    begun = Said("call.transfer", {"mode": mode, "targets": [_target(rng)]}, _pause(rng), "transfer.consulting")
    return [begun, *(_say(rng, name) for name in (*between, rng.choice(ends)))]


def _supervision(rng: Random) -> list[Said]:
    """Somebody listens in, in one mode and then in another, and leaves or takes over."""
    first, *others = rng.sample(_MODES, k=rng.choice((1, 2, 3)))
    last = rng.choice(("supervision.leave", "supervision.leave", "supervision.takeover"))
    return [
        _say(rng, "call.supervise", mode=first, supervisor=_somebody(rng)),
        *(_say(rng, "supervision.switch", supervisor="supervisor", mode=mode) for mode in others),
        _say(rng, last, supervisor="supervisor"),
    ]


def _say(rng: Random, name: str, **data: object) -> Said:
    return Said(name, data, _pause(rng))


def _pause(rng: Random) -> float:
    return round(rng.uniform(0.0, 1.5), 2)


def _target(rng: Random) -> str:
    """Somebody, or whoever TaskRouter finds."""
    return f"queue:{QUEUE}" if rng.random() < 0.1 else _somebody(rng)


def _somebody(rng: Random) -> str:
    """An agent's own device now and then; mostly a phone, which is dialled once and never again."""
    who = rng.randrange(_PEOPLE)
    return f"client:agent{who}" if rng.random() < 0.2 else f"phone:+1555800{who:04d}"
