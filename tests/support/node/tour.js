// A walk through every resource of the local Twilio with Twilio's own Node client. Prints one JSON document at the end.
// Usage: node tour.js BASE_URL ACCOUNT TOKEN WORKSPACE NUMBER SITE CALLER_IN_CONFERENCE CONFERENCE QUEUED_CALLER QUEUE
"use strict";
const assert = require("node:assert");
const twilio = require("twilio");

const [base, account, token, workspace, number, site, caller, room, queued, queue] = process.argv.slice(2);
const LONG = "<Response><Pause length='60'/></Response>";

class LocalClient extends twilio.RequestClient {
  request(options) {
    const uri = options.uri.replace(/^https:\/\/(api|taskrouter)\.twilio\.com/, base);
    return super.request({ ...options, uri });
  }
}

const client = twilio(account, token, { httpClient: new LocalClient() });
const visited = [];
const note = (name, truth) => {
  assert.ok(truth, name);
  visited.push(name);
};

async function eventually(what, look) {
  const deadline = Date.now() + 8000;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`not within 8 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function calls() {
  const made = await client.calls.create({ to: "client:agent", from: number, twiml: LONG });
  const one = client.calls(made.sid);
  await eventually("the answer", async () => (await one.fetch()).status === "in-progress");
  const taken = await one.recordings.create();
  note("recordings.update", (await one.recordings(taken.sid).update({ status: "paused" })).status === "paused");
  note("recordings.list", (await client.recordings.list({ callSid: made.sid })).length === 1);
  note("calls.list", (await client.calls.list({ to: "client:agent" })).some((call) => call.sid === made.sid));
  note("calls.update", (await one.update({ status: "completed" })).status === "completed");
  note("recordings.remove", await client.recordings(taken.sid).remove());
  note("calls.remove", await one.remove());
  const branch = await client.api.v2010.accounts.create({ friendlyName: "Node" });
  note("accounts.list", (await client.api.v2010.accounts.list({ friendlyName: "Node" }))[0].sid === branch.sid);
  note("accounts.update", (await client.api.v2010.accounts(branch.sid).update({ status: "closed" })).status === "closed");
  const key = await client.newKeys.create({ friendlyName: "Node" });
  note("keys.list", (await client.keys.list()).length === 1);
  note("keys.remove", await client.keys(key.sid).remove());
  const app = await client.applications.create({ friendlyName: "Node", voiceUrl: `${site}/long` });
  note("applications.update", (await client.applications(app.sid).update({ voiceMethod: "GET" })).voiceMethod === "GET");
  note("applications.list", (await client.applications.list({ friendlyName: "Node" })).length === 1);
  note("applications.remove", await client.applications(app.sid).remove());
  note("accounts.fetch", (await client.api.v2010.accounts(account).fetch()).sid === account);
}

async function conferences() {
  const one = client.conferences(room);
  const joined = await one.participants.create({ to: "client:agent", from: number, label: "node" });
  await eventually("the agent", async () => (await one.participants("node").fetch()).status === "connected");
  note("conferences.fetch", (await one.fetch()).status === "in-progress");
  note("participants.update", (await one.participants("node").update({ muted: true })).muted);
  note("participants.list", (await one.participants.list()).length === 2);
  note("participants.remove", await one.participants(joined.callSid).remove());
  note("conferences.list", (await client.conferences.list()).some((found) => found.sid === room));
  note("conferences.update", (await one.update({ status: "completed" })).status === "completed");
  note("calls.fetch", (await client.calls(caller).fetch()).sid === caller);
}

async function numbersAndQueues() {
  const numbers = client.incomingPhoneNumbers;
  const made = await numbers.create({ phoneNumber: "+15550100043" });
  note("numbers.update", (await numbers(made.sid).update({ friendlyName: "Node" })).friendlyName === "Node");
  note("numbers.fetch", (await numbers(made.sid).fetch()).phoneNumber === "+15550100043");
  note("numbers.list", (await numbers.list()).length === 2);
  note("numbers.remove", await numbers(made.sid).remove());
  const another = await client.queues.create({ friendlyName: "node" });
  note("queues.update", (await client.queues(another.sid).update({ maxSize: 4 })).maxSize === 4);
  note("queues.remove", await client.queues(another.sid).remove());
  note("queues.fetch", (await client.queues(queue).fetch()).currentSize === 1);
  note("queues.list", (await client.queues.list()).length === 1);
  note("members.list", (await client.queues(queue).members.list())[0].callSid === queued);
  note("members.fetch", (await client.queues(queue).members("Front").fetch()).position === 1);
  note("members.update", (await client.queues(queue).members(queued).update({ url: `${site}/long` })).callSid === queued);
}

async function centre() {
  const space = client.taskrouter.v1.workspaces(workspace);
  note("workspaces.fetch", (await space.fetch()).sid === workspace);
  note("workspaces.list", (await client.taskrouter.v1.workspaces.list()).length === 1);
  const activity = await space.activities.create({ friendlyName: "Node", available: false });
  const offered = await space.taskQueues.create({ friendlyName: "node", targetWorkers: "1==1" });
  const configuration = JSON.stringify({ task_routing: { filters: [], default_filter: { queue: offered.sid } } });
  const flow = await space.workflows.create({ friendlyName: "node", configuration });
  const worker = await space.workers.create({ friendlyName: "node", activitySid: activity.sid });
  note("workers.list", (await space.workers.list()).length === 3);
  note("activities.list", (await space.activities.list()).length === 4);
  note("taskQueues.list", (await space.taskQueues.list()).length === 4);
  note("workflows.fetch", (await space.workflows(flow.sid).fetch()).configuration === configuration);
  note("workerChannels.list", (await space.workers(worker.sid).workerChannels.list()).length === 5);
  const channel = await space.taskChannels.create({ friendlyName: "Fax", uniqueName: "fax" });
  note("taskChannels.remove", await space.taskChannels(channel.sid).remove());
  note("taskChannels.list", (await space.taskChannels.list()).length === 5);
  for (const one of [space.workers(worker.sid), space.workflows(flow.sid), space.taskQueues(offered.sid)]) {
    note("remove", await one.remove());
  }
  const task = await space.tasks.create({ attributes: JSON.stringify({ queue: "billing" }) });
  const [held] = await eventually("the reservation", async () => {
    const found = await space.tasks(task.sid).reservations.list();
    return found.length ? found : null;
  });
  const accepted = await space.tasks(task.sid).reservations(held.sid).update({ reservationStatus: "accepted" });
  note("reservations.update", accepted.reservationStatus === "accepted");
  note("worker.reservations", (await space.workers(held.workerSid).reservations.list()).length === 1);
  const stale = await space.tasks(task.sid).update({ ifMatch: '"0"', attributes: "{}" }).catch((error) => error);
  note("tasks.ifMatch", stale.status === 412);
  note("tasks.update", (await space.tasks(task.sid).update({ assignmentStatus: "completed" })).reason === null);
  note("tasks.list", (await space.tasks.list({ pageSize: 1 })).length === 1);
  note("events.list", (await space.events.list({ taskSid: task.sid })).length > 4);
  note("tasks.remove", await space.tasks(task.sid).remove());
}

calls()
  .then(conferences)
  .then(numbersAndQueues)
  .then(centre)
  .then(() => console.log(JSON.stringify({ visited })))
  .catch((error) => {
    console.error(error);
    process.exitCode = 1;
  });
