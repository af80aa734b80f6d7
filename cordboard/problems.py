"""Errors over HTTP: `application/problem+json` (RFC 9457), whatever goes wrong in a request to the ops port."""

from http import HTTPStatus

import msgspec
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from cordboard.errors import LogError

CONTENT_TYPE = "application/problem+json"

_log = structlog.get_logger(__name__)


class ProblemError(Exception):
    """Raised by a handler: becomes the answer. `detail` says what was expected or what to do."""

    def __init__(self, status: HTTPStatus, detail: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}


class Problem(msgspec.Struct, frozen=True):
    """The body. `type` stays `about:blank`: the status says the kind, `detail` the rest."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"


def problem(status: HTTPStatus, detail: str, headers: dict[str, str] | None = None) -> web.Response:
    """The answer to a request that went wrong."""
    body = msgspec.json.encode(Problem(status.phrase, status.value, detail))
    return web.Response(status=status, body=body, content_type=CONTENT_TYPE, headers=headers)


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever a handler raises into a problem. Defects are logged with their trace and answered 500."""
    try:
        return await handler(request)
    except ProblemError as error:
        return problem(error.status, error.detail, error.headers)
    except web.HTTPException as error:
        if error.content_type == CONTENT_TYPE:
            raise
        return problem(HTTPStatus(error.status), _detail(request, error), _kept(error))
    except LogError as error:
        _log.warning("ops.log_unavailable", path=request.path, error=str(error))
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, f"the log is not available: {error}", {"Retry-After": "1"})
    except Exception:  # noqa: BLE001 the outermost place: told in full to the log, and nothing to the sender
        _log.exception("ops.request_failed", method=request.method, path=request.path)
        return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "a defect of ours; the log of the service has the trace")


def _detail(request: web.Request, error: web.HTTPException) -> str:
    match error.status:
        case HTTPStatus.NOT_FOUND:
            return f"{request.path} is no route of this service"
        case HTTPStatus.METHOD_NOT_ALLOWED:
            return f"{request.method} is not taken here; allowed: {error.headers.get('Allow', '')}"
        case _:
            return error.text or error.reason


def _kept(error: web.HTTPException) -> dict[str, str]:
    return {name: error.headers[name] for name in ("Allow", "Retry-After") if name in error.headers}
