"""The local Twilio of `--local-twilio`: a made-up account, one number that leads to our ingress, and who picks up."""

import msgspec

from cordboard.accounts import Account
from cordboard.settings import Settings, host_port
from cordboard.settings_checks import Overrides, load_settings, local_twilio
from emulator import Answer, EmulatorConfig, NumberConfig, Person
from emulator.taskrouter.config import WORKFLOW_SID, WORKSPACE_SID, TaskRouterConfig, WorkerConfig
from schemas.routes import Route, callback_url

ACCOUNT_SID = "AC00000000000000000000000000000001"
AUTH_TOKEN = "local-auth-token"  # noqa: S105 a made-up account on a Twilio that is not one
NUMBER = "+15550100"
CALLER = "+15550111"
AGENT = "+15550122"
WORKER = "+15550144"
QUEUE = "support"
PEOPLE = {
    AGENT: Person(),
    WORKER: Person(),
    "+15550133": Person(),
    "+15550177": Person(answer=Answer.ASKS),
    "+15550188": Person(answer=Answer.NO_ANSWER),
    "+15550199": Person(answer=Answer.BUSY),
}
DEFAULT_BIND = "127.0.0.1:8090"


def emulator_url(bind: str) -> str:
    """Where an emulator that listens on `bind` is reached from this machine."""
    host, port = host_port(bind)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 compared with, not bound to
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def overrides(bind: str) -> Overrides:
    """The settings that `--local-twilio` puts in place of a real account. Raises `SettingsError`."""
    ingress_bind = load_settings(overrides={"twilio_accounts_file": ""}).settings.ingress_bind
    made_up = local_twilio(ingress_bind, emulator_url(bind), ACCOUNT_SID, AUTH_TOKEN, NUMBER)
    return {**made_up, "taskrouter_workspace": WORKSPACE_SID, "taskrouter_workflow": WORKFLOW_SID}


def emulator_config(settings: Settings, bind: str) -> EmulatorConfig:
    """An emulator whose account and number are those of the settings; a number's voice URL is our ingress."""
    host, port = host_port(bind)
    public = settings.public_url
    account = settings.account
    config = EmulatorConfig(
        host=host,
        port=port,
        numbers={settings.twilio_number or NUMBER: number_config(public)} if public else {},
        people=PEOPLE,
        taskrouter=_centre(public, account) if public else None,
    )
    if account is None or not account.auth_tokens:
        return config
    keys = {account.api_key: account.api_secret} if account.api_key and account.api_secret else {}
    return msgspec.structs.replace(config, account_sid=account.sid, auth_token=account.auth_tokens[0], api_keys=keys)


def _centre(public_url: str, account: Account | None) -> TaskRouterConfig:
    """A contact centre of one queue, whose only worker is called at `WORKER`; its callbacks lead to us."""
    workspace = account.taskrouter_workspace if account is not None else None
    workflow = account.taskrouter_workflow if account is not None else None
    return TaskRouterConfig(
        queues={QUEUE: "1==1"},
        workers={"carla": WorkerConfig(contact_uri=WORKER)},
        assignment_callback_url=callback_url(public_url, Route.ASSIGNMENT),
        event_callback_url=callback_url(public_url, Route.TASK_EVENTS),
        workspace_sid=workspace or WORKSPACE_SID,
        workflow_sid=workflow or WORKFLOW_SID,
    )


def number_config(public_url: str) -> NumberConfig:
    """A number as one sets it up at Twilio for us."""
    return NumberConfig(
        voice_url=callback_url(public_url, Route.TWIML),
        status_callback=callback_url(public_url, Route.STATUS),
        friendly_name="Cordboard",
    )
