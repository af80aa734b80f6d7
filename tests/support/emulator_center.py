"""A contact centre on the local Twilio, and words to give it work and to watch it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import aiohttp
from aiohttp import web

from emulator import EmulatorConfig, Switches, TaskRouterConfig, WorkerConfig
from emulator.taskrouter.config import WORKSPACE_SID
from emulator.taskrouter.entities import Activity, Task, TaskQueue, Workspace
from emulator_bench import ACCOUNT, TOKEN, Bench, Hit

Answer = Mapping[str, object]


@dataclass
class Center:
    """A workspace whose assignment callbacks go to ``/assignment`` and whose events go to ``/events``."""

    bench: Bench
    sid: str = WORKSPACE_SID

    def __post_init__(self) -> None:
        """Point the seeded workflow and workspace to the bench's site, whose address is known only now."""
        for workflow in self.workspace.workflows.values():
            workflow.assignment_callback_url = self.bench.url("/assignment")
        self.workspace.event_callback_url = self.bench.url("/events")
        self.bench.site.pages.setdefault("/assignment", 200)

    @staticmethod
    def config(switches: Switches | None = None, **taskrouter: object) -> EmulatorConfig:
        """Return a configuration with alice for sales, bob for billing."""
        given: dict[str, object] = {
            "queues": {"everybody": "1==1", "sales": 'skills HAS "sales"', "billing": 'skills HAS "billing"'},
            "workers": {
                "alice": WorkerConfig(contact_uri="client:alice", attributes={"skills": ["sales"]}),
                "bob": WorkerConfig(contact_uri="client:bob", attributes={"skills": ["billing"], "level": 2}),
            },
            **taskrouter,
        }
        return Bench.config(taskrouter=TaskRouterConfig(**given), switches=switches or Switches())  # type: ignore[arg-type]

    @property
    def workspace(self) -> Workspace:
        """The workspace as the emulator holds it."""
        return self.bench.emulator.world.workspaces[self.sid]

    def activity(self, name: str) -> Activity:
        """Return an activity by its name."""
        return next(one for one in self.workspace.activities.values() if one.friendly_name == name)

    def queue(self, name: str) -> TaskQueue:
        """Return a task queue by its name."""
        return next(one for one in self.workspace.queues.values() if one.friendly_name == name)

    def only_task(self) -> Task:
        """Return the one task there is."""
        (task,) = self.workspace.tasks.values()
        return task

    def answers(self, answer: Answer | Callable[[dict[str, str]], Answer]) -> None:
        """Say what the assignment callback is answered."""
        self.bench.site.pages["/assignment"] = lambda params: web.json_response(
            answer(params) if callable(answer) else answer
        )

    async def rest(self, method: str, path: str, form: dict[str, str] | None = None) -> tuple[int, dict[str, object]]:
        """Call the workspace's REST API."""
        return await self.bench.v1(method, f"/v1/Workspaces/{self.sid}{path}", form)

    async def headers(
        self, method: str, path: str, form: dict[str, str] | None = None, if_match: str = ""
    ) -> tuple[int, Mapping[str, str]]:
        """Call the workspace's REST API with ``If-Match``; return status and headers."""
        signed = {
            "Authorization": aiohttp.encode_basic_auth(ACCOUNT, TOKEN),
            **({"If-Match": if_match} if if_match else {}),
        }
        url = f"{self.bench.emulator.url}/v1/Workspaces/{self.sid}{path}"
        async with self.bench.session.request(method, url, data=form, headers=signed) as answer:
            return answer.status, answer.headers

    async def control(self, method: str, path: str, body: object = None) -> tuple[int, dict[str, object]]:
        """Call a control route."""
        return await self.bench.control(method, path, body)

    async def task(self, form: dict[str, str] | None = None, **attributes: object) -> Task:
        """Make a task with these attributes."""
        fields = {"Attributes": json.dumps(attributes), **(form or {})}
        status, body = await self.rest("POST", "/Tasks", fields)
        assert status == 201, body
        return self.workspace.tasks[str(body["sid"])]

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait until a condition holds."""
        await self.bench.until(condition, what)

    async def until_status(self, task: Task, status: str) -> None:
        """Wait until a task has this status."""
        await self.until(lambda: task.status == status, f"the task {status}")

    async def asked(self) -> Hit:
        """Wait for an assignment callback and return it."""
        await self.until(lambda: self.bench.site.got("/assignment"), "the assignment callback")
        return self.bench.site.got("/assignment")[0]

    async def told(self, event_type: str, **params: str) -> None:
        """Wait for an event callback of this type with these fields."""
        await self.until(lambda: self.bench.site.got("/events", EventType=event_type, **params), event_type)
