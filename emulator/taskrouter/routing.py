"""Which queue a task goes to, and which worker gets it (https://www.twilio.com/docs/taskrouter/workflow-configuration).

One router per workspace: it wakes when something has changed and reserves what can be reserved. Target timeouts count
from the entry into the workflow, so that a task that was reserved meanwhile is not given their whole length again.
"""

from emulator.taskrouter import assignment, expressions, reservations, tasks, told, workers
from emulator.taskrouter.configuration import Routing, TargetSpec, parse
from emulator.taskrouter.entities import Target, Task, TaskQueue, TaskStatus, Workflow, Workspace
from emulator.world import World

NO_FILTER = "Task did not match any filter of the Workflow"
WORKFLOW_TIMEOUT = "Workflow TTL Exceeded"
BREATH_S = 0.02
"""Between two offers of a task that is rejected at once, so that one worker alone does not spin."""


def start(world: World, workspace: Workspace) -> None:
    """Start a workspace's router."""
    workspace.router = world.spawn(_run(world, workspace), f"taskrouter {workspace.sid}")
    workspace.changed.set()


async def _run(world: World, workspace: Workspace) -> None:
    while True:
        await workspace.changed.wait()
        workspace.changed.clear()
        match(world, workspace)
        await world.clock.sleep(BREATH_S)


# -- the way to a queue -----------------------------------------------------------------------------------------------


def enter(world: World, task: Task) -> None:
    """Lead a new task into its workflow, or straight to the queue or worker that it was made for."""
    if not task.targets and task.workflow is not None:
        told.of_task(world, task, "workflow.entered")
        task.targets = _steps(world, task, task.workflow)
        if not task.targets:
            tasks.cancel(world, task, NO_FILTER)
            return
        told.of_task(world, task, "workflow.target-matched")
    _take_step(world, task)


def _steps(world: World, task: Task, workflow: Workflow) -> list[Target]:
    routing = parse(workflow.configuration)
    for one in routing.filters:
        if expressions.holds(one.expression, "task", {"task": _task_scope(task)}):
            steps = [_target(task.workspace, spec) for spec in one.targets]
            return _without_skipped(world, task, [*steps, *_default(task.workspace, routing)])
    return _default(task.workspace, routing)


def _task_scope(task: Task) -> dict[str, object]:
    known = {"priority": task.priority, "sid": task.sid, "task_channel_unique_name": task.channel.unique_name}
    return {**known, **task.attributes}


def _default(workspace: Workspace, routing: Routing) -> list[Target]:
    return [] if routing.default_filter is None else [_target(workspace, routing.default_filter)]


def _target(workspace: Workspace, spec: TargetSpec) -> Target:
    known = spec.known_worker_sid
    if spec.known_worker_friendly_name:
        worker = workers.named(workspace, spec.known_worker_friendly_name)
        known = worker.sid if worker else known
    queue = find_queue(workspace, spec.queue)
    return Target(
        queue_sid=queue.sid if queue else spec.queue,
        expression=spec.expression,
        priority=None if spec.priority is None else int(spec.priority),
        timeout_s=None if spec.timeout is None else float(spec.timeout),
        skip_if=spec.skip_if,
        order_by=spec.order_by,
        worker_sid=known,
    )


def find_queue(workspace: Workspace, key: str) -> TaskQueue | None:
    """Return the queue with this SID or name."""
    found = workspace.queues.get(key)
    return found or next((queue for queue in workspace.queues.values() if queue.friendly_name == key), None)


def _without_skipped(world: World, task: Task, steps: list[Target]) -> list[Target]:
    """Leave out steps whose ``skip_if`` holds; the last one is never skipped."""
    kept: list[Target] = []
    for index, step in enumerate(steps):
        known: dict[str, object] = {"workers": {"available": len(workers.eligible(task.workspace, task, step))}}
        skipped = step.skip_if and expressions.holds(step.skip_if, "worker", {"worker": known, "task": task.attributes})
        if skipped and index < len(steps) - 1:
            told.of_task(world, task, "workflow.skipped")
        else:
            kept.append(step)
    return kept


def _take_step(world: World, task: Task) -> None:
    """Put the task into the queue of its first step and let that step's timeout run."""
    step, workspace, now = task.targets[0], task.workspace, world.clock.now()
    before, task.queue = task.queue, workspace.queues.get(step.queue_sid)
    task.entered_queue_at = now
    if step.priority is not None:
        task.priority = step.priority
    if before is not None and before is not task.queue:
        told.of_task(world, task, "task-queue.moved")
    told.of_task(world, task, "task-queue.entered")
    if step.timeout_s is not None:
        left_s = max(task.created_at + step.timeout_s - now, 0) if before is None else step.timeout_s
        task.timers["workflow"] = world.clock.call_later(left_s, lambda: _next_step(world, task))
    workspace.changed.set()


def _next_step(world: World, task: Task) -> None:
    """A step's time is over: on to the next one, or out of the workflow. A reserved task is left alone."""
    task.timers.pop("workflow", None)
    if task.status is TaskStatus.RESERVED:
        task.timers["workflow"] = world.clock.call_later(BREATH_S, lambda: _next_step(world, task))
        return
    if task.status is not TaskStatus.PENDING:
        return
    told.of_task(world, task, "task-queue.timeout")
    if len(task.targets) == 1:
        told.of_task(world, task, "workflow.timeout")
        tasks.cancel(world, task, WORKFLOW_TIMEOUT)
        return
    task.targets.pop(0)
    _take_step(world, task)


# -- the match --------------------------------------------------------------------------------------------------------


def match(world: World, workspace: Workspace) -> None:
    """Reserve every waiting task that has a worker: by priority, then by age (or the youngest first)."""
    waiting = [task for task in workspace.tasks.values() if _wants_worker(task)]
    newest_first = workspace.prioritize_queue_order == "LIFO"
    waiting.sort(key=lambda task: (-task.priority, (-1 if _lifo(task, newest_first) else 1) * _age_key(task)))
    for task in waiting:
        _offer(world, task)


def _lifo(task: Task, newest_first: bool) -> bool:  # noqa: FBT001 - a conversion
    return newest_first or (task.queue is not None and task.queue.task_order == "LIFO")


def _age_key(task: Task) -> float:
    return task.created_at if task.virtual_start_at is None else task.virtual_start_at


def _wants_worker(task: Task) -> bool:
    """Pending, or reserved for fewer workers than the queue asks at once."""
    if task.queue is None or not task.open or task.status not in {TaskStatus.PENDING, TaskStatus.RESERVED}:
        return False
    return sum(reservation.live for reservation in task.reservations) < task.queue.max_reserved_workers


def _offer(world: World, task: Task) -> None:
    if task.rejections >= reservations.MAX_REJECTIONS:
        tasks.cancel(world, task, f"Task rejected {reservations.MAX_REJECTIONS} times")
        return
    room = (task.queue.max_reserved_workers if task.queue else 0) - sum(one.live for one in task.reservations)
    for worker in workers.eligible(task.workspace, task, task.targets[0])[:room]:
        reservation = reservations.make(world, task, worker)
        assignment.ask(world, reservation)
