"""The ops port itself: who may use it, what it says about its health, and how it refuses."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

import pytest
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from cordboard.errors import LogUnavailableError
from cordboard.ops import OpsConfig, Readiness, serve_ops
from cordboard.problems import ProblemError
from reading_client import ReadingClient


@asynccontextmanager
async def ops(token: str = "", readiness: Readiness | None = None) -> AsyncIterator[ReadingClient]:
    """An ops port with a route that answers and some that fail."""

    async def fine(_request: web.Request) -> web.Response:
        return web.json_response({"fine": True})

    def fails(error: Exception) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handler(_request: web.Request) -> web.Response:
            raise error

        return handler

    def mount(app: web.Application) -> None:
        app.router.add_get("/v1/fine", fine)
        app.router.add_get("/v1/defect", fails(RuntimeError("secret inside")))
        app.router.add_get("/v1/log", fails(LogUnavailableError("no acknowledgement")))
        app.router.add_get("/v1/teapot", fails(ProblemError(HTTPStatus.CONFLICT, "not now")))

    config = OpsConfig("127.0.0.1", 0, token)
    async with serve_ops(config, readiness or Readiness(), [mount]) as url, ReadingClient(url) as client:
        yield client


async def test_health_readiness_and_metrics_need_no_token() -> None:
    """Probes and scrapers know no secret."""
    async with ops("secret") as client:
        assert [(await client.get(path)).status for path in ("/healthz", "/readyz", "/metrics")] == [200] * 3


@pytest.mark.parametrize("header", [None, "secret", "Bearer", "Bearer other", "bearer secret", "Bearer é"])
async def test_everything_else_needs_the_token(header: str | None) -> None:
    """Anything but the very token is 401, told as a problem, also where there is no such route."""
    async with ops("secret") as client:
        headers = {} if header is None else {"Authorization": header}
        answers = [await client.get(path, **headers) for path in ("/v1/fine", "/v1/nothing")]

    for answer in answers:
        assert (answer.status, answer.is_problem, answer.headers["WWW-Authenticate"]) == (401, True, "Bearer")


async def test_the_token_opens() -> None:
    """Who has it may read."""
    async with ops("secret") as client:
        assert (await client.get("/v1/fine", Authorization="Bearer secret")).body == {"fine": True}


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Host": "evil.example"}, {"Origin": "null"}])
async def test_a_page_in_a_browser_may_not_use_a_port_without_token(headers: dict[str, str]) -> None:
    """Without a token only programs on this machine may speak to it: no foreign origin, no rebound name."""
    async with ops() as client:
        answer = await client.get("/v1/fine", **headers)
        assert (answer.status, answer.is_problem) == (403, True)
        assert (await client.get("/v1/fine")).status == 200


@pytest.mark.parametrize(
    ("path", "status"), [("/v1/defect", 500), ("/v1/log", 503), ("/v1/teapot", 409), ("/v1/no", 404)]
)
async def test_whatever_goes_wrong_is_a_problem(path: str, status: int) -> None:
    """A defect tells its sender nothing of the inside; an unavailable log says to come again."""
    async with ops() as client:
        answer = await client.get(path)

    assert (answer.status, answer.is_problem) == (status, True)
    assert "secret inside" not in answer.body["detail"]
    assert status != 503 or answer.headers["Retry-After"] == "1"


async def test_readiness_names_what_is_not_ready_and_why() -> None:
    """Every reason is told by the name of its part, a failing check and a silent one too."""

    async def silent() -> str | None:
        await asyncio.Event().wait()
        return None

    async def broken() -> str | None:
        raise LogUnavailableError("gone")

    async def fine() -> str | None:
        return None

    async def behind() -> str | None:
        return "17 records to go"

    readiness = Readiness()
    for name, check in (("silent", silent), ("broken", broken), ("fine", fine), ("behind", behind)):
        readiness.add(name, check)
    async with ops(readiness=readiness) as client:
        answer = await client.get("/readyz")

    assert answer.status == 503
    assert answer.body == {
        "ready": False,
        "reasons": {
            "silent": "no answer within 2 s", "broken": "LogUnavailableError: gone", "behind": "17 records to go"
        },
    }  # fmt: skip


async def test_who_is_leaving_is_not_ready_but_alive() -> None:
    """Draining begins with readiness, so that nothing new is sent here."""
    readiness = Readiness()
    readiness.leaving = "draining"
    async with ops(readiness=readiness) as client:
        assert (await client.get("/readyz")).body == {"ready": False, "reasons": {"service": "draining"}}
        assert (await client.get("/healthz")).status == 200


async def test_metrics_are_prometheus_text() -> None:
    """What a scraper gets can be parsed and has our names."""
    async with ops() as client:
        answer = await client.get("/metrics")

    names = {family.name for family in text_string_to_metric_families(answer.body.decode())}
    assert "cordboard_webhooks_received" in names


def test_the_token_does_not_show() -> None:
    """A configuration in a log or a trace gives nothing away."""
    assert "secret" not in repr(OpsConfig("127.0.0.1", 1, "secret"))


async def test_notes_are_told_and_keep_nobody_away() -> None:
    """What is not as it should be is told, and the service stays ready."""

    async def waiting() -> str | None:
        return "12 records wait"

    async def nothing() -> str | None:
        return None

    readiness = Readiness()
    readiness.note("spool", waiting)
    readiness.note("log", nothing)
    assert await readiness.reasons() == {}
    assert await readiness.notes() == {"spool": "12 records wait"}
