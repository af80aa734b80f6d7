"""How the contact centre looks from outside: paging, accounts, control routes, switches."""

from dataclasses import replace

import msgspec

from emulator import Switches
from emulator.taskrouter.config import WORKSPACE_SID
from emulator_bench import BenchFactory
from emulator_center import Center

HOUR_S = 3600
META = "key page page_size first_page_url previous_page_url url next_page_url"


async def test_iso_timestamps_by_switch(start: BenchFactory) -> None:
    """Timestamps are epoch seconds, or ISO where the switch says so."""
    center = Center(await start(Center.config(Switches(taskrouter_iso_timestamps=True))))
    await center.task(queue="billing")
    await center.told("task.created")
    assert center.bench.site.got("/events", EventType="task.created")[0].params["Timestamp"].endswith("Z")


async def test_the_status_of_a_state_that_does_not_fit(start: BenchFactory) -> None:
    """A task and a reservation that are not where an update needs them are refused as the switch says."""
    center = Center(await start(Center.config(Switches(taskrouter_state_status=409))))
    task = await center.task(queue="billing")
    await center.until_status(task, "reserved")
    status, body = await center.rest("POST", f"/Tasks/{task.sid}", {"AssignmentStatus": "completed"})
    assert (status, body["code"]) == (409, 20001)
    await center.control("POST", "/workers/bob/accept")
    reservation = f"/Workers/{task.reservations[0].worker.sid}/Reservations/{task.reservations[0].sid}"
    status, body = await center.rest("POST", reservation, {"ReservationStatus": "rejected"})
    assert (status, body["code"]) == (409, 20001)


async def test_unsigned_by_switch(start: BenchFactory) -> None:
    """U3: whether TaskRouter's callbacks are signed is a switch."""
    center = Center(await start(Center.config(Switches(u3_taskrouter_and_conversation_sign=False))))
    await center.task(queue="billing")
    assert "X-Twilio-Signature" not in (await center.asked()).headers


async def test_paging(center: Center) -> None:
    """Pages lead on by their token; a bare page number is refused (40153)."""
    made = [(await center.task(queue="billing")).sid for _ in range(5)]
    seen: list[object] = []
    url = f"/v1/Workspaces/{WORKSPACE_SID}/Tasks?PageSize=2"
    while url:
        _, body = await center.bench.v1("GET", url)
        meta = msgspec.convert(body["meta"], dict[str, str | int | None])
        assert set(meta) == set(META.split())
        seen += [task["sid"] for task in msgspec.convert(body["tasks"], list[dict[str, object]])]
        url = str(meta["next_page_url"] or "").removeprefix(center.bench.emulator.url)
    assert seen == made
    status, body = await center.rest("GET", "/Tasks?Page=1")
    assert (status, body["code"]) == (400, 40153)


async def test_an_account_sees_its_own_workspaces(start: BenchFactory) -> None:
    """A subaccount does not find the main account's workspace."""
    other = "AC" + "2" * 32
    config = msgspec.structs.replace(Center.config(), subaccounts={other: "secret"})
    bench = await start(config)
    status, body = await bench.v1("GET", f"/v1/Workspaces/{WORKSPACE_SID}", account=(other, "secret"))
    assert (status, body["code"]) == (404, 20404)
    assert (await bench.v1("GET", "/v1/Workspaces", account=(other, "secret")))[1]["workspaces"] == []


async def test_control_routes(center: Center) -> None:
    """The control routes show tasks and workers and let a worker reject or run out of time."""
    task = await center.task(queue="billing")
    await center.until_status(task, "reserved")
    _, shown = await center.control("GET", "/workers/bob")
    assert (shown["activity"], len(msgspec.convert(shown["reservations"], list[object]))) == ("Available", 1)
    assert (await center.control("POST", "/workers/bob/time-out"))[1]["status"] == "timeout"
    _, shown = await center.control("GET", "/tasks")
    listed = msgspec.convert(shown["tasks"], list[dict[str, object]])
    assert [(one["task_sid"], one["status"], one["queue"]) for one in listed] == [(task.sid, "pending", "billing")]
    for path, status in (("/workers/eve", 404), ("/workers/bob/dance", 404), ("/workers/bob/accept", 409)):
        method = "POST" if path.count("/") > 2 else "GET"
        assert (await center.control(method, path))[0] == status, path
    assert (await center.control("PUT", "/workers/bob", {"activity": "Asleep"}))[0] == 422


async def test_events_of_a_time(center: Center) -> None:
    """Events are filtered by minutes, by dates and by task channel; a wrong date is refused."""
    await center.task(queue="billing")
    events = center.workspace.events
    events[0] = replace(events[0], at=events[0].at - HOUR_S)
    older, newer = events[0].sid, events[-1].sid

    async def found(query: str) -> set[str]:
        _, body = await center.rest("GET", f"/Events?PageSize=100&{query}")
        return {one["sid"] for one in body["events"]}  # type: ignore[attr-defined]

    assert newer in await found("Minutes=5")
    assert older not in await found("Minutes=5")
    assert {older, newer} <= await found("Minutes=90")
    assert {older, newer} <= await found("StartDate=2020-01-01")
    assert await found("EndDate=2020-01-01") == set()
    assert await found("TaskChannel=fax") == set()
    assert await found("TaskChannel=default")
    assert (await center.rest("GET", "/Events?StartDate=yesterday"))[0] == 400
