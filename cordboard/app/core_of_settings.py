"""What the engine's core is told by the settings, for the running engine and for `cordboard replay --with-settings`."""

from cordboard.settings_checks import Loaded
from engine.core.config import CoreConfig


def core_of(loaded: Loaded) -> CoreConfig:
    """The core's configuration: policies, and the default account with what it can do."""
    accounts = loaded.accounts
    account = accounts.default if len(accounts) else None
    return CoreConfig(
        policies=loaded.policies,
        account_sid=account.sid if account else "",
        number=account.number if account else "",
        queues=account is not None and account.taskrouter_workspace is not None,
    )
