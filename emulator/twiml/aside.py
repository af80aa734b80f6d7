"""Documents beside a call's own: what a queue's caller hears, what a called party hears before the bridge."""

from collections.abc import Callable
from enum import StrEnum

from emulator import media
from emulator.entities import Call, Source
from emulator.errors import Alert, DocumentError
from emulator.twiml import fetch
from emulator.twiml.digits import gather
from emulator.twiml.document import Document
from emulator.twiml.verbs import Dial, Gather, Hangup, Leave, Pause, Play, Redirect, Say, Verb
from emulator.world import World


class Ending(StrEnum):
    """How such a document ended."""

    OVER = "over"
    HANGUP = "hangup"
    LEAVE = "leave"


async def run(world: World, kind: str, call: Call, source: Source, fields: Callable[[], dict[str, str]]) -> Ending:
    """Run a document to its end; ``fields`` gives what each request carries.

    Raises:
        DocumentError: it cannot be had, or holds a verb that is not allowed here (13201, 13238).

    """
    next_source: Source | None = source
    while next_source is not None:
        document = await fetch.document(world, kind, call.sid, call.account_sid, next_source, fields())
        outcome = await _verbs(world, kind, call, document)
        if isinstance(outcome, Ending):
            return outcome
        next_source = outcome
    return Ending.OVER


async def _verbs(world: World, kind: str, call: Call, document: Document) -> Source | Ending:
    for verb in document.verbs:
        outcome = await _verb(world, kind, call, document, verb)
        if outcome is not None:
            return outcome
    return Ending.OVER


async def _verb(world: World, kind: str, call: Call, document: Document, verb: Verb) -> Source | Ending | None:
    match verb:
        case Redirect():
            await world.clock.sleep(media.MIN_SOUND_S)
            return Source(document.absolute(verb.url), verb.method)
        case Hangup():
            return Ending.HANGUP
        case Leave():
            return Ending.LEAVE
        case Gather():
            return await gather(world, call, document, verb)
        case Say() | Play() | Pause():
            world.tell("hears", call, what=media.describe(verb), because=kind)
            await media.sound(world, verb)
            return None
        case _:
            code = Alert.WHISPER_FORBIDDEN if isinstance(verb, Dial) else Alert.FORBIDDEN_VERB
            raise DocumentError(code, f"<{type(verb).__name__}> is not allowed here", document.url)


def last_word(world: World, call: Call, source: Source | None, fields: dict[str, str]) -> None:
    """Make a request whose TwiML cannot run any more: the call is over, or goes on elsewhere."""
    if source is not None and not world.closing:
        world.start(_ask(world, call, source, fields), "last-word")


async def _ask(world: World, call: Call, source: Source, fields: dict[str, str]) -> None:
    try:
        await fetch.document(world, "twiml", call.sid, call.account_sid, source, fields)
    except DocumentError as error:
        world.alert(error.code, error.detail, call.sid, error.url)
