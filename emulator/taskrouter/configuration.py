"""A workflow's configuration: JSON text to filters and targets. Pure."""

import msgspec

from emulator.errors import EmulatorError
from emulator.taskrouter import expressions


class ConfigurationError(EmulatorError):
    """The text is no workflow configuration."""


class TargetSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A step of a filter. ``timeout`` in seconds, counted from the task's first step."""

    queue: str = ""
    expression: str = ""
    priority: int | str | None = None
    timeout: int | str | None = None
    skip_if: str = ""
    order_by: str = ""
    known_worker_sid: str = ""
    known_worker_friendly_name: str = ""


class FilterSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Tasks that an expression selects, and their way."""

    expression: str = ""
    filter_friendly_name: str = ""
    friendly_name: str = ""
    targets: list[TargetSpec] = []

    @property
    def name(self) -> str:
        """The filter's name, by either of its two spellings."""
        return self.filter_friendly_name or self.friendly_name


class Routing(msgspec.Struct, frozen=True, kw_only=True):
    """The filters in their order, and the queue of what none of them takes."""

    filters: list[FilterSpec] = []
    default_filter: TargetSpec | None = None


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """The whole document; other keys are Twilio's business."""

    task_routing: Routing = Routing()


def parse(text: str) -> Routing:
    """Read a configuration.

    Raises:
        ConfigurationError: not JSON, not of this form, or with an expression that cannot be read.

    """
    try:
        routing = msgspec.json.decode(text, type=Configuration).task_routing
        for one in routing.filters:
            expressions.check(one.expression)
            for target in one.targets:
                expressions.check(target.expression, "worker")
                expressions.check(target.skip_if if target.skip_if != "workers.available == 0" else "", "worker")
    except (msgspec.DecodeError, expressions.ExpressionError) as error:
        raise ConfigurationError(str(error)) from error
    return routing
