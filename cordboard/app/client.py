"""What the command line asks the ops port: plain requests, and the event stream. The same settings, the same token."""

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from cordboard.errors import CordboardError
from cordboard.settings import host_port
from cordboard.settings_checks import load_settings

_TIMEOUT_S = 30.0
_UNSPECIFIED = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 compared with, not bound to


class OpsError(CordboardError):
    """The ops port refused (with `status`), or is not there."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Answer(msgspec.Struct, frozen=True):
    """Status and body of an answer that is not an error."""

    status: int
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 whatever the server says; the caller knows the contract
        """The body as JSON."""
        return json.loads(self.body)


class OpsClient:
    """Speaks to one ops port. Every error becomes an `OpsError` that says what to do."""

    def __init__(self, url: str, token: str = "", *, timeout_s: float = _TIMEOUT_S) -> None:
        self.url = url.rstrip("/")
        self._parts = urlsplit(self.url)
        if self._parts.scheme not in {"http", "https"} or not self._parts.hostname:
            raise OpsError(f"{url!r} is no address of an ops port: expected http://HOST:PORT")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._timeout_s = timeout_s

    def get(self, path: str, query: Mapping[str, str | int | None] | None = None) -> Any:  # noqa: ANN401 as `Answer.json`
        """The JSON of `GET path`. Raises `OpsError`."""
        return self.request("GET", path, query).json()

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int | None] | None = None,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request. Raises `OpsError` for anything but a 2xx."""
        with self._open(method, path, query, body=body, headers=headers) as response:
            return Answer(response.status, response.read())

    def frames(self, query: Mapping[str, str | int | None]) -> Iterator["Frame"]:
        """The event stream, frame by frame, until the server ends it."""
        with self._open("GET", "/v1/events", query, headers={"Accept": "text/event-stream"}) as response:
            lines: list[str] = []
            for raw in response:
                line = raw.decode().rstrip("\r\n")
                if line:
                    lines.append(line)
                elif lines:
                    yield Frame.of(lines)
                    lines = []

    @contextmanager
    def _open(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int | None] | None,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        named = {name: value for name, value in (query or {}).items() if value not in {None, ""}}
        target = f"{self._parts.path}{path}" + (f"?{urlencode(named)}" if named else "")
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._parts.hostname or "", self._parts.port, timeout=self._timeout_s)
        try:
            connection.request(method, target, body, {**self._headers, **(headers or {})})
            response = connection.getresponse()
            if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
                raise _refused(self.url, path, response)
            yield response
        except (OSError, http.client.HTTPException) as error:
            raise OpsError(self._unreachable(error)) from error
        finally:
            connection.close()

    def _unreachable(self, error: Exception) -> str:
        if isinstance(error, ConnectionRefusedError):
            return (
                f"nobody listens on {self.url}. Start Cordboard (`cordboard run --local-twilio` needs no account), or "
                "say where its ops port is: CORDBOARD_OPS_BIND, or `cordboard --ops URL …`"
            )
        return f"{self.url} did not answer: {type(error).__name__} {error}".rstrip()


class Frame(msgspec.Struct, frozen=True):
    """One frame of an event stream. `event` is empty for an ordinary one, `comment` for one that has none."""

    id: str = ""
    event: str = ""
    data: str = ""
    comment: str = ""

    @staticmethod
    def of(lines: list[str]) -> "Frame":
        """A frame from its lines."""
        fields: dict[str, list[str]] = {}
        for line in lines:
            name, _, value = line.partition(":")
            fields.setdefault(name or "comment", []).append(value.removeprefix(" "))
        known = {name: "\n".join(values) for name, values in fields.items() if name in Frame.__struct_fields__}
        return Frame(**known)


def ops_client(ops: str | None, *, timeout_s: float = _TIMEOUT_S) -> OpsClient:
    """A client by the settings; `ops` is the address where it is another one. Raises `SettingsError`."""
    settings = load_settings().settings
    host, port = host_port(settings.ops_bind)
    host = _UNSPECIFIED.get(host, host)
    url = ops or (f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
    return OpsClient(url, settings.ops_token.get_secret_value(), timeout_s=timeout_s)


def _refused(url: str, path: str, response: http.client.HTTPResponse) -> OpsError:
    body = response.read(65_536)
    try:
        detail = str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        detail = response.reason
    hint = ""
    if response.status == HTTPStatus.NOT_FOUND and detail.endswith("is no route of this service"):
        what = "Commands are taken" if path == "/v1/commands" else "Reading is answered"
        hint = f". {what} by another service: --ops URL"
    return OpsError(f"{url} says {response.status} {response.reason}: {detail}{hint}", response.status)
