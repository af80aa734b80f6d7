"""twilio-python finds every resource as Twilio's OpenAPI files describe it. Other tests' answers are judged as well."""

import json
import re

import pytest

from emulator import EmulatorConfig, create_app
from emulator_bench import Bench
from emulator_center import Center
from emulator_openapi import Answer, Judge, Recorder
from emulator_tour import Tour, sync_client


@pytest.mark.parametrize("client", ["asynchronous", "synchronous"])
async def test_every_resource_by_the_official_client(center: Center, client: str) -> None:
    """Each operation of each resource works with twilio-python."""
    if client == "synchronous":
        await Tour(center, sync_client(center.bench.emulator.url), threaded=True).whole()
    else:
        async with center.bench.twilio() as twilio:
            await Tour(center, twilio, threaded=False).whole()


async def test_every_emulated_operation_is_judged(center: Center, recorder: Recorder, spec: Judge) -> None:
    """The tour leaves out no operation of the files that has a route here, so none goes without judgement."""
    async with center.bench.twilio() as twilio:
        await Tour(center, twilio, threaded=False).whole()
    judged = {spec.operation(answer) for answer in recorder.answers}
    emulated = _emulated(spec)
    assert len(emulated) > 80
    assert sorted(emulated - judged) == []


def _emulated(spec: Judge) -> set[str]:
    """Return the operations of the files that have a route of their own."""
    routes = {
        f"{route.method} {_shape(route.resource.canonical)}"
        for route in create_app(EmulatorConfig()).router.routes()
        if route.resource is not None
    }
    return {operation for operation in spec.operations() if _shape(operation) in routes}


def _shape(path: str) -> str:
    return re.sub(r"\{[^}]+\}", "{}", path)


async def test_the_judge_can_find_fault(bench: Bench, spec: Judge) -> None:
    """A missing key, an unknown key, a wrong type and an undocumented status are all found."""
    _, body = await bench.rest("POST", "/Queues.json", {"FriendlyName": "q"})
    path = str(body["uri"])
    wrong = {
        "missing": {key: value for key, value in body.items() if key != "sid"},
        "unknown": {**body, "colour": "red"},
        "wrong type": {**body, "max_size": "100"},
        "wrong pattern": {**body, "sid": "nonsense"},
    }
    assert spec.complaints(_answer(path, body)) == []
    for what, changed in wrong.items():
        assert spec.complaints(_answer(path, changed)), what
    assert spec.complaints(_answer(path, body, 202))


def _answer(path: str, body: dict[str, object], status: int = 200) -> Answer:
    return Answer("GET", path, "", status, json.dumps(body).encode())
