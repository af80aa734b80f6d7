"""Keys that a party presses, what it says, and where a verb leads next."""

import asyncio

from emulator import media
from emulator.entities import Call, Source, Speech
from emulator.twiml.document import Document
from emulator.twiml.verbs import Gather
from emulator.world import World


def action(document: Document, url: str, method: str, **fields: str) -> Source | None:
    """Return the action URL with its fields; no action: the next verb."""
    if not url:
        return None
    return Source(document.absolute(url), method, extra=tuple(fields.items()))


CONFIDENCE = "0.9"


async def gather(world: World, call: Call, document: Document, verb: Gather) -> Source | None:
    """Play the prompts until a digit or speech comes, then collect."""
    drain(call)
    world.tell("prompted", call, by="Gather")
    first: str | None = None
    world.tell("gather", call, what=verb.wants)
    if verb.prompts:
        prompts = world.spawn(_prompts(world, call, verb), "prompts")
        heard = world.spawn(_heard(call, verb), "heard")
        try:
            await asyncio.wait({prompts, heard}, return_when=asyncio.FIRST_COMPLETED)
            first = heard.result() if heard.done() else None
        finally:
            prompts.cancel()
            heard.cancel()
    found = await _collect(world, call, verb, first)
    if not any(found.values()) and not verb.action_on_empty_result:
        return None
    return Source(document.absolute(verb.action), verb.method, extra=tuple(found.items()))


async def _prompts(world: World, call: Call, verb: Gather) -> None:
    for prompt in verb.prompts:
        world.tell("hears", call, what=media.describe(prompt), because="twiml")
        await media.sound(world, prompt)


def drain(call: Call) -> None:
    """Forget what was pressed and said before anybody listened."""
    while not call.digits.empty():
        call.digits.get_nowait()


async def _heard(call: Call, verb: Gather) -> str:
    """Wait for a key or for speech, whichever the verb listens to."""
    while True:
        heard = await call.digits.get()
        if verb.speech if isinstance(heard, Speech) else verb.digits:
            return heard


async def _collect(world: World, call: Call, verb: Gather, first: str | None) -> dict[str, str]:
    digits = ""
    while verb.num_digits is None or len(digits) < verb.num_digits:
        try:
            heard = first if first is not None else await world.clock.within(_heard(call, verb), verb.timeout_s)
        except TimeoutError:
            break
        first = None
        if isinstance(heard, Speech):
            return {"SpeechResult": str(heard), "Confidence": CONFIDENCE}
        if heard in verb.finish_on_key and verb.finish_on_key:
            break
        digits += heard
    return {"Digits": digits} if verb.digits else {"SpeechResult": ""}


async def key(call: Call, keys: str) -> str:
    """Wait for one of these keys."""
    while isinstance(pressed := await call.digits.get(), Speech) or pressed not in keys:
        pass
    return pressed
