"""A walk through every resource of the local Twilio with twilio-python, by its synchronous or asynchronous client."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from emulator_bench import ACCOUNT, AGENT, NUMBER, TOKEN
from emulator_center import Center

HOSTS = ("https://api.twilio.com", "https://taskrouter.twilio.com")
LONG = "<Response><Pause length='60'/></Response>"


class LocalHttpClient(TwilioHttpClient):
    """Sends the synchronous client's requests to the local Twilio."""

    def __init__(self, base_url: str) -> None:
        super().__init__()
        self._base_url = base_url

    def request(  # type: ignore[override]
        self,
        method: str,
        uri: str,
        *rest: Any,
        **named: Any,
    ) -> Response:
        """Make the request at the local Twilio."""
        for host in HOSTS:
            uri = uri.replace(host, self._base_url)
        return super().request(method, uri, *rest, **named)


def sync_client(base_url: str) -> Client:
    """Return the synchronous client."""
    return Client(ACCOUNT, TOKEN, http_client=LocalHttpClient(base_url), environment={"_": ""})


@dataclass
class Tour:
    """The walk. ``threaded``: the synchronous client, in a thread."""

    center: Center
    client: Client
    threaded: bool

    async def do(self, target: Any, operation: str, **values: Any) -> Any:
        """Call ``create``, ``fetch``, ``list``, ``update`` or ``delete`` of a resource."""
        if self.threaded:
            return await asyncio.to_thread(getattr(target, operation), **values)
        return await getattr(target, f"{operation}_async")(**values)

    async def whole(self) -> None:
        """Visit everything."""
        await self.accounts()
        await self.calls()
        await self.conferences()
        await self.numbers()
        await self.queues()
        await self.centre()
        await self.tasks()
        await self.workspaces()

    async def accounts(self) -> None:
        """The account, a subaccount, API keys, TwiML applications."""
        client = self.client
        assert (await self.do(client.api.accounts(ACCOUNT), "fetch")).sid == ACCOUNT
        sub = await self.do(client.api.accounts, "create", friendly_name="Branch")
        assert [one.sid for one in await self.do(client.api.accounts, "list", friendly_name="Branch")] == [sub.sid]
        assert (await self.do(client.api.accounts(sub.sid), "update", status="suspended")).status == "suspended"
        key = await self.do(client.new_keys, "create", friendly_name="Tour")
        assert (await self.do(client.keys(key.sid), "update", friendly_name="Renamed")).friendly_name == "Renamed"
        assert (await self.do(client.keys(key.sid), "fetch")).sid == key.sid
        assert [one.sid for one in await self.do(client.keys, "list")] == [key.sid]
        assert await self.do(client.keys(key.sid), "delete")
        made = await self.do(client.applications, "create", friendly_name="Tour", voice_url="http://127.0.0.1:1/v")
        app = client.applications(made.sid)
        assert (await self.do(app, "update", voice_method="GET")).voice_method == "GET"
        assert (await self.do(app, "fetch")).voice_url == "http://127.0.0.1:1/v"
        assert [one.sid for one in await self.do(client.applications, "list", friendly_name="Tour")] == [made.sid]
        assert await self.do(app, "delete")

    async def calls(self) -> None:
        """Calls and their recordings, and the account's."""
        client, bench = self.client, self.center.bench
        made = await self.do(client.calls, "create", to=AGENT, from_=NUMBER, twiml=LONG)
        await bench.until(lambda: bench.status(made.sid) == "in-progress", "the answer")
        one = client.calls(made.sid)
        assert (await self.do(one, "fetch")).status == "in-progress"
        assert [call.sid for call in await self.do(client.calls, "list", to=AGENT)] == [made.sid]
        taken = await self.do(one.recordings, "create")
        assert [item.sid for item in await self.do(one.recordings, "list")] == [taken.sid]
        assert (await self.do(one.recordings(taken.sid), "update", status="paused")).status == "paused"
        assert (await self.do(one.recordings(taken.sid), "fetch")).status == "paused"
        assert (await self.do(one, "update", status="completed")).status == "completed"
        assert (await self.do(client.recordings(taken.sid), "fetch")).status == "completed"
        assert [item.sid for item in await self.do(client.recordings, "list")] == [taken.sid]
        assert await self.do(one.recordings(taken.sid), "delete")
        assert await self.do(one, "delete")

    async def conferences(self) -> None:
        """Conferences, participants, conference recordings."""
        client, bench = self.client, self.center.bench
        caller = await bench.caller_in("tour", record="record-from-start")
        room = client.conferences(bench.room("tour").sid)
        joined = await self.do(room.participants, "create", to=AGENT, from_=NUMBER, label="agent")
        await bench.until(lambda: bench.joined("tour", joined.call_sid), "the agent")
        assert (await self.do(room, "fetch")).status == "in-progress"
        assert [one.sid for one in await self.do(client.conferences, "list", friendly_name="tour")] == [
            joined.conference_sid
        ]
        assert (await self.do(room.participants("agent"), "update", hold=True)).hold
        assert (await self.do(room.participants("agent"), "fetch")).hold
        present = await self.do(room.participants, "list")
        assert {one.call_sid for one in present} == {caller, joined.call_sid}
        (taken,) = await self.do(room.recordings, "list")
        assert (await self.do(room.recordings(taken.sid), "update", status="paused")).status == "paused"
        assert (await self.do(room.recordings(taken.sid), "fetch")).source == "Conference"
        assert await self.do(room.participants("agent"), "delete")
        assert (await self.do(room, "update", status="completed")).status == "completed"
        assert await self.do(room.recordings(taken.sid), "delete")
        caller = await bench.caller(LONG)
        await bench.until(lambda: bench.status(caller) == "in-progress", "the answer")
        taken = await self.do(client.calls(caller).recordings, "create")
        await self.do(client.calls(caller), "update", status="completed")
        assert await self.do(client.recordings(taken.sid), "delete")

    async def numbers(self) -> None:
        """Incoming phone numbers."""
        numbers = self.client.incoming_phone_numbers
        made = await self.do(numbers, "create", phone_number="+15550100042", voice_url="http://127.0.0.1:1/v")
        assert (await self.do(numbers(made.sid), "update", friendly_name="Tour")).friendly_name == "Tour"
        assert (await self.do(numbers(made.sid), "fetch")).phone_number == "+15550100042"
        assert {one.phone_number for one in await self.do(numbers, "list")} == {NUMBER, "+15550100042"}
        assert await self.do(numbers(made.sid), "delete")

    async def queues(self) -> None:
        """Call queues and their members."""
        client, bench = self.client, self.center.bench
        made = await self.do(client.queues, "create", friendly_name="tour")
        queue = client.queues(made.sid)
        assert (await self.do(queue, "update", max_size=9)).max_size == 9
        caller = await bench.caller("<Response><Enqueue>tour</Enqueue></Response>")
        await bench.until(lambda: bench.emulator.world.queues.member(caller), "the caller in the queue")
        assert (await self.do(queue, "fetch")).current_size == 1
        assert [one.friendly_name for one in await self.do(client.queues, "list")] == ["tour"]
        assert [one.call_sid for one in await self.do(queue.members, "list")] == [caller]
        assert (await self.do(queue.members("Front"), "fetch")).position == 1
        bench.site.pages["/dequeued"] = LONG
        assert (await self.do(queue.members(caller), "update", url=bench.url("/dequeued"))).call_sid == caller
        assert await self.do(queue, "delete")

    async def centre(self) -> None:
        """Activities, task queues, workflows, workers, channels."""
        space = self.client.taskrouter.v1.workspaces(self.center.sid)
        activity = await self.do(space.activities, "create", friendly_name="Lunch", available=False)
        assert (await self.do(space.activities(activity.sid), "update", friendly_name="Tea")).friendly_name == "Tea"
        assert not (await self.do(space.activities(activity.sid), "fetch")).available
        assert "Tea" in {one.friendly_name for one in await self.do(space.activities, "list")}
        queue = await self.do(space.task_queues, "create", friendly_name="tour", target_workers='tour == "yes"')
        assert (await self.do(space.task_queues(queue.sid), "update", max_reserved_workers=2)).max_reserved_workers == 2
        assert (await self.do(space.task_queues(queue.sid), "fetch")).friendly_name == "tour"
        assert len(await self.do(space.task_queues, "list")) == 4
        routing = json.dumps({"task_routing": {"filters": [], "default_filter": {"queue": queue.sid}}})
        flow = await self.do(space.workflows, "create", friendly_name="tour", configuration=routing)
        assert (
            await self.do(space.workflows(flow.sid), "update", task_reservation_timeout=9)
        ).task_reservation_timeout == 9
        assert (await self.do(space.workflows(flow.sid), "fetch")).configuration == routing
        assert len(await self.do(space.workflows, "list")) == 2
        worker = await self.do(space.workers, "create", friendly_name="tourist", attributes='{"tour": "yes"}')
        assert (await self.do(space.workers(worker.sid), "update", activity_sid=activity.sid)).activity_name == "Tea"
        assert (await self.do(space.workers(worker.sid), "fetch")).friendly_name == "tourist"
        assert [one.sid for one in await self.do(space.workers, "list", task_queue_sid=queue.sid)] == [worker.sid]
        channels = space.workers(worker.sid).worker_channels
        assert {one.task_channel_unique_name for one in await self.do(channels, "list")} >= {"default", "voice"}
        assert (await self.do(channels("voice"), "update", capacity=3)).configured_capacity == 3
        assert (await self.do(channels("voice"), "fetch")).configured_capacity == 3
        assert (await self.do(space.task_channels("voice"), "fetch")).unique_name == "voice"
        assert len(await self.do(space.task_channels, "list")) == 5
        fax = await self.do(space.task_channels, "create", friendly_name="Fax", unique_name="fax")
        assert (await self.do(space.task_channels("fax"), "update", friendly_name="Telefax")).friendly_name == "Telefax"
        assert (await self.do(channels("fax"), "fetch")).configured_capacity == 1
        assert await self.do(space.task_channels(fax.sid), "delete")
        for target in (space.workers(worker.sid), space.workflows(flow.sid), space.task_queues(queue.sid)):
            assert await self.do(target, "delete")
        assert not await self.do(space.workers, "list", friendly_name="tourist")
        assert await self.do(space.activities(activity.sid), "delete")

    async def tasks(self) -> None:
        """Tasks, reservations from both sides, events."""
        space = self.client.taskrouter.v1.workspaces(self.center.sid)
        made = await self.do(space.tasks, "create", attributes='{"queue": "billing"}')
        task = self.center.workspace.tasks[made.sid]
        await self.center.until_status(task, "reserved")
        one = space.tasks(made.sid)
        (reserved,) = await self.do(one.reservations, "list")
        assert (await self.do(one.reservations(reserved.sid), "fetch")).worker_name == "bob"
        mine = space.workers(reserved.worker_sid).reservations
        assert [item.sid for item in await self.do(mine, "list")] == [reserved.sid]
        assert (await self.do(mine(reserved.sid), "fetch")).reservation_status == "pending"
        accepted = await self.do(one.reservations(reserved.sid), "update", reservation_status="accepted")
        assert accepted.reservation_status == "accepted"
        wrapping = await self.do(mine(reserved.sid), "update", reservation_status="wrapping")
        assert wrapping.reservation_status == "wrapping"
        assert (await self.do(one, "update", assignment_status="completed", reason="done")).reason == "done"
        assert (await self.do(one, "fetch")).assignment_status == "completed"
        assert [item.sid for item in await self.do(space.tasks, "list")] == [made.sid]
        events = await self.do(space.events, "list", task_sid=made.sid)
        assert {"task.created", "task.completed"} <= {event.event_type for event in events}
        assert (await self.do(space.events(events[0].sid), "fetch")).sid == events[0].sid
        assert await self.do(one, "delete")

    async def workspaces(self) -> None:
        """Workspaces themselves."""
        spaces = self.client.taskrouter.v1.workspaces
        made = await self.do(spaces, "create", friendly_name="second", template="FIFO")
        assert (await self.do(spaces(made.sid), "update", friendly_name="third")).friendly_name == "third"
        assert (await self.do(spaces(made.sid), "fetch")).timeout_activity_name == "Offline"
        assert len(await self.do(spaces, "list")) == 2
        assert await self.do(spaces(made.sid), "delete")
