"""The one family of errors. Each says what was wrong, what was expected and what to do."""


class CordboardError(Exception):
    """Root of every error that Cordboard raises on purpose."""


class SettingsError(CordboardError):
    """The configuration cannot work; the message names every setting at fault."""


class LogError(CordboardError):
    """The log could not do what was asked; nothing is known to be durable."""


class LogUnavailableError(LogError):
    """The log did not acknowledge in time: the record may or may not be durable. Try again with the same id."""


class LogInUseError(LogError):
    """Another process owns this log (SQLite journal: one process, one file)."""


class AppendFailedError(LogError):
    """A fenced append failed or is doubtful. The one error rule: discard the state, take the partition anew."""


class FencedError(AppendFailedError):
    """Another owner has claimed the partition. Stand down; claim again only after a new assignment."""
