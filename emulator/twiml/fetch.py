"""Getting a TwiML document: from inline text, or over HTTP with the journal and the content-type rules."""

import asyncio

from emulator.entities import Source
from emulator.errors import Alert, DocumentError
from emulator.exchange import MAX_BODY, ExchangeFailedError, Reply, document_error
from emulator.faults import Effect
from emulator.journal import Exchange
from emulator.twiml.document import Document, parse
from emulator.twiml.verbs import Play
from emulator.world import World

XML_TYPES = frozenset({"text/xml", "application/xml", "application/rss+xml"})


async def document(
    world: World, kind: str, resource: str, account_sid: str, source: Source, fields: dict[str, str]
) -> Document:
    """Get and parse a document.

    Raises:
        DocumentError: there is none, or it is not TwiML. The fallback URL is the caller's business.

    """
    if source.text is not None:
        return _checked(world, parse(source.text), resource)
    entry = Exchange(
        number=world.exchanges.total + 1,
        at=world.clock.now(),
        kind=kind,
        resource=resource,
        url=source.url,
        method=source.method,
        params={**fields, **dict(source.extra)},
    )
    world.exchanges.add(entry)
    # A call that is hung up or redirected meanwhile does not take the request back.
    work = world.spawn(_get(world, entry, account_sid), kind)
    outcome = await asyncio.shield(work)
    if isinstance(outcome, DocumentError):
        raise outcome
    return _checked(world, outcome, resource)


async def _get(world: World, entry: Exchange, account_sid: str) -> Document | DocumentError:
    """Return the document or the error: an outcome that nobody waits for any more must not look like a crash."""
    fault = world.faults.for_document(entry.method, entry.url, entry.kind)
    entry.fault = fault.effect.value if fault else None
    try:
        _stumble(entry)
        reply = await world.exchanger.run(entry, account_sid)
        entry.body = reply.body.decode(errors="replace")
        return _read(reply)
    except ExchangeFailedError as error:
        unusable = document_error(error, entry.url)
        entry.code = int(unusable.code)
        return unusable
    except DocumentError as error:
        entry.error, entry.code = str(error), int(error.code)
        return error


def _stumble(entry: Exchange) -> None:
    """Fail when a fault wants the document to be out of reach."""
    if entry.fault == Effect.UNREACHABLE:
        entry.error, entry.cause = "unreachable by a fault", "fault"
        raise ExchangeFailedError(entry.cause, entry.error)


def _read(reply: Reply) -> Document:
    if reply.content_type.startswith("audio/"):
        return Document((Play(reply.url),), reply.url)
    if len(reply.body) > MAX_BODY:
        raise DocumentError(Alert.RESPONSE_TOO_LARGE, "the document is larger than 64 kB", reply.url)
    if not reply.body.strip():
        return Document((), reply.url)
    if reply.content_type not in XML_TYPES:
        detail = f"content type {reply.content_type!r}, expected text/xml"
        raise DocumentError(Alert.CONTENT_TYPE, detail, reply.url)
    return parse(reply.body, reply.url)


def _checked(world: World, parsed: Document, resource: str) -> Document:
    for warning in parsed.warnings:
        world.alert(Alert.SCHEMA, warning, resource, parsed.url)
    return parsed
