"""Keys that a party presses, and where a verb leads next."""

import asyncio

from emulator import media
from emulator.entities import Call, Source
from emulator.twiml.document import Document
from emulator.twiml.verbs import Gather
from emulator.world import World


def action(document: Document, url: str, method: str, **fields: str) -> Source | None:
    """Return the action URL with its fields; no action: the next verb."""
    if not url:
        return None
    return Source(document.absolute(url), method, extra=tuple(fields.items()))


async def gather(world: World, call: Call, document: Document, verb: Gather) -> Source | None:
    """Play the prompts until a digit comes, then collect."""
    drain(call)
    world.tell("prompted", call, by="Gather")
    first: str | None = None
    if verb.prompts:
        prompts = world.spawn(_prompts(world, call, verb), "prompts")
        key = world.spawn(call.digits.get(), "key")
        try:
            await asyncio.wait({prompts, key}, return_when=asyncio.FIRST_COMPLETED)
            first = key.result() if key.done() else None
        finally:
            prompts.cancel()
            key.cancel()
    digits = await _digits(world, call, verb, first)
    if not digits and not verb.action_on_empty_result:
        return None
    return Source(document.absolute(verb.action), verb.method, extra=(("Digits", digits),))


async def _prompts(world: World, call: Call, verb: Gather) -> None:
    for prompt in verb.prompts:
        world.tell("hears", call, what=media.describe(prompt), because="twiml")
        await media.sound(world, prompt)


def drain(call: Call) -> None:
    """Forget keys that were pressed before anybody listened."""
    while not call.digits.empty():
        call.digits.get_nowait()


async def _digits(world: World, call: Call, verb: Gather, first: str | None) -> str:
    digits = ""
    while verb.num_digits is None or len(digits) < verb.num_digits:
        try:
            key = first if first is not None else await world.clock.within(call.digits.get(), verb.timeout_s)
        except TimeoutError:
            break
        first = None
        if key in verb.finish_on_key and verb.finish_on_key:
            break
        digits += key
    return digits


async def key(call: Call, keys: str) -> str:
    """Wait for one of these keys."""
    while (pressed := await call.digits.get()) not in keys:
        pass
    return pressed
