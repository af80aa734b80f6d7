"""The links of a chaos run do what the plan says: forward, balance, break, delay, and heal."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from chaos.links import Link
from free_ports import free_ports


@asynccontextmanager
async def server(answer: Callable[[bytes], bytes]) -> AsyncIterator[int]:
    """A server that answers each line; gives its port."""
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                writer.write(answer(line))
        await gone(writer)

    running = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield running.sockets[0].getsockname()[1]
    finally:
        running.close()
        if serving:
            await asyncio.wait(serving)


async def gone(writer: asyncio.StreamWriter) -> None:
    """End a connection and see it ended."""
    writer.transport.abort()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def ask(port: int, line: bytes) -> bytes:
    """One line by a connection of its own; empty when it broke."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(line)
        return await reader.readline()
    except ConnectionError:
        return b""
    finally:
        await gone(writer)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    """What is entered here is left at the end."""
    async with AsyncExitStack() as entered:
        yield entered


async def link_to(stack: AsyncExitStack, *targets: int) -> Link:
    """A link to these ports."""
    return await stack.enter_async_context(Link(free_ports(1)[0], targets))


async def test_a_link_forwards(stack: AsyncExitStack) -> None:
    """What comes in goes on, and the answer back."""
    link = await link_to(stack, await stack.enter_async_context(server(bytes.upper)))

    assert await ask(link.port, b"hello\n") == b"HELLO\n"


async def test_a_large_message_arrives_whole(stack: AsyncExitStack) -> None:
    """However it is cut up on its way, and although the reader is slow to take it."""
    link = await link_to(stack, await stack.enter_async_context(server(lambda line: line)))
    line = b"x" * 60_000 + b"\n"

    assert await ask(link.port, line) == line


async def test_a_balancer_takes_turns(stack: AsyncExitStack) -> None:
    """Each of several targets gets its share."""
    one = await stack.enter_async_context(server(lambda _: b"one\n"))
    two = await stack.enter_async_context(server(lambda _: b"two\n"))
    link = await link_to(stack, one, two)

    assert {await ask(link.port, b"who\n") for _ in range(4)} == {b"one\n", b"two\n"}


async def test_a_balancer_goes_round_the_dead(stack: AsyncExitStack) -> None:
    """Where nobody listens the next one is asked; where nobody listens at all the connection breaks."""
    alive = await stack.enter_async_context(server(lambda _: b"here\n"))
    dead = free_ports(2)
    link = await link_to(stack, dead[0], alive, dead[1])
    nowhere = await link_to(stack, *dead)

    assert {await ask(link.port, b"who\n") for _ in range(6)} == {b"here\n"}
    assert await ask(nowhere.port, b"who\n") == b""


async def test_a_cut_breaks_what_is_open_and_what_comes(stack: AsyncExitStack) -> None:
    """Until the link is healed."""
    link = await link_to(stack, await stack.enter_async_context(server(bytes.upper)))
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    writer.write(b"before\n")
    assert await reader.readline() == b"BEFORE\n"
    link.cut()
    assert await reader.read() == b""
    assert await ask(link.port, b"during\n") == b""
    link.heal()

    assert await ask(link.port, b"after\n") == b"AFTER\n"
    await gone(writer)


async def test_a_delay_keeps_the_order(stack: AsyncExitStack) -> None:
    """What came during the delay is not overtaken by what came after it."""
    link = await link_to(stack, await stack.enter_async_context(server(lambda line: line)))
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    link.delay_s = 0.05
    writer.write(b"slow\n")
    while not link.held:
        await asyncio.sleep(0)
    link.heal()
    writer.write(b"quick\n")

    assert [await reader.readline(), await reader.readline()] == [b"slow\n", b"quick\n"]
    await gone(writer)
