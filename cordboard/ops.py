"""The ops port: health, readiness and metrics for everybody, everything under `/v1` for who has the token.

The composition root mounts what stands there: commands come from `ingress.commands`, reading from `observe`.
"""

import asyncio
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from urllib.parse import urlsplit

import msgspec
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from prometheus_client import REGISTRY
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from cordboard import metrics  # noqa: F401 the whole catalogue is shown, counted or not
from cordboard.problems import problem, problems

Check = Callable[[], Awaitable[str | None]]
"""None when all is well, else the reason why not."""
Mount = Callable[[web.Application], None]
"""Adds routes under `/v1`."""

_CHECK_LIMIT_S = 2.0
_SHUTDOWN_S = 2.0
_MAX_BODY = 1_048_576

_log = structlog.get_logger(__name__)


class OpsConfig(msgspec.Struct, frozen=True):
    """Where to listen (port 0: any free one), and the token, empty for none. The token never shows."""

    host: str
    port: int
    token: str = ""

    def __repr__(self) -> str:
        """Only what may be seen."""
        return f"OpsConfig({self.host}:{self.port}, {'with' if self.token else 'without'} token)"


class Readiness:
    """Named checks; ready when none gives a reason and nobody has said that we are going away."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}
        self._notes: dict[str, Check] = {}
        self.leaving: str | None = None
        """Set to a reason, the service is no longer ready: load balancers take it out before it goes."""

    def add(self, name: str, check: Check) -> None:
        """Ask `check` whenever somebody asks us."""
        self._checks[name] = check

    def note(self, name: str, check: Check) -> None:
        """As `add`, for what is worth telling and does not make the service less ready."""
        self._notes[name] = check

    async def reasons(self) -> dict[str, str]:
        """What is not ready, by name, and why. A check that does not answer within 2 s is a reason."""
        if self.leaving is not None:
            return {"service": self.leaving}
        return await _ask_all(self._checks)

    async def notes(self) -> dict[str, str]:
        """What is not as it should be, by name, although the service is ready."""
        return await _ask_all(self._notes)


async def _ask_all(checks: Mapping[str, Check]) -> dict[str, str]:
    answers = await asyncio.gather(*(_ask(check) for check in checks.values()))
    return {name: answer for name, answer in zip(checks, answers, strict=True) if answer is not None}


async def _ask(check: Check) -> str | None:
    try:
        async with asyncio.timeout(_CHECK_LIMIT_S):
            return await check()
    except TimeoutError:
        return f"no answer within {_CHECK_LIMIT_S:g} s"
    except Exception as error:  # noqa: BLE001 a check that fails is the answer: not ready, with the reason
        return f"{type(error).__name__}: {error}"


class _Ready(msgspec.Struct, frozen=True, omit_defaults=True):
    """Body of `/readyz`. `notes`: what is not as it should be and does not keep the service from its work."""

    ready: bool
    reasons: Mapping[str, str] = {}
    notes: Mapping[str, str] = {}


def ops_app(config: OpsConfig, readiness: Readiness, mounts: Iterable[Mount] = ()) -> web.Application:
    """The application behind the ops port."""

    async def healthz(_request: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def readyz(_request: web.Request) -> web.Response:
        reasons, notes = await asyncio.gather(readiness.reasons(), readiness.notes())
        status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
        body = msgspec.json.encode(_Ready(ready=not reasons, reasons=reasons, notes=notes))
        return web.Response(status=status, body=body, content_type="application/json")

    app = web.Application(middlewares=[problems, _authorised(config.token)], client_max_size=_MAX_BODY)
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", _metrics)])
    for mount in mounts:
        mount(app)
    return app


async def _metrics(_request: web.Request) -> web.Response:
    return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _authorised(token: str) -> Middleware:
    expected = f"Bearer {token}".encode()

    @web.middleware
    async def authorised(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.path.startswith("/v1"):
            return await handler(request)
        if token and not hmac.compare_digest(request.headers.get("Authorization", "").encode(), expected):
            detail = "expected the header `Authorization: Bearer TOKEN` with the value of CORDBOARD_OPS_TOKEN"
            return problem(HTTPStatus.UNAUTHORIZED, detail, {"WWW-Authenticate": "Bearer"})
        if not token and _from_elsewhere(request):
            # Without a token a page in somebody's browser could steer calls through a port on loopback.
            return problem(
                HTTPStatus.FORBIDDEN, "a page of another origin may not use this port; set CORDBOARD_OPS_TOKEN"
            )
        return await handler(request)

    return authorised


def _from_elsewhere(request: web.Request) -> bool:
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        return True
    host = urlsplit(f"//{request.host}").hostname or ""
    return not (host in {"localhost", "::1"} or host.startswith("127."))


@asynccontextmanager
async def serve_ops(config: OpsConfig, readiness: Readiness, mounts: Iterable[Mount] = ()) -> AsyncIterator[str]:
    """Listen for as long as the context lasts; gives the URL. Raises `OSError` when the address is taken."""
    runner = web.AppRunner(
        ops_app(config, readiness, mounts), access_log=None, keepalive_timeout=15.0, shutdown_timeout=_SHUTDOWN_S
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, config.host, config.port).start()
        host, port = runner.addresses[0][:2]
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        _log.info("ops.listening", url=url, token=bool(config.token))
        yield url
    finally:
        await runner.cleanup()
