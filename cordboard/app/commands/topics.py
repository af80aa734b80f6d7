"""`cordboard topics`: create the topics, or compare them with what they should be."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from cordboard.app.output import print_json, print_table

if TYPE_CHECKING:
    from cordboard.log.port import TopicCheck


@click.group(short_help="Create or check the topics.")
def topics() -> None:
    """Create the topics with their settings, or say how they differ.

    \b
    CORDBOARD_LOG=kafka:localhost:9092 cordboard topics ensure
    """  # noqa: D301 click's mark


@topics.command("ensure", short_help="Create what is missing, and say what differs.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document a line.")
def ensure(*, as_json: bool) -> None:
    """Create what is missing; exit code 1 when something that is there differs from what it should be."""
    import asyncio  # noqa: PLC0415 heavy

    from cordboard.app.foreign_logs import take_foreign_logs  # noqa: PLC0415 heavy
    from cordboard.logs import configure_logs  # noqa: PLC0415 as above
    from cordboard.settings_checks import load_settings  # noqa: PLC0415 as above

    settings = load_settings().settings
    configure_logs()
    take_foreign_logs()

    async def check() -> "Sequence[TopicCheck]":
        from cordboard.app.logs_of_settings import open_log_of  # noqa: PLC0415 heavy

        log = open_log_of(settings)
        try:
            return await log.ensure_topics()
        finally:
            await log.aclose()

    found = asyncio.run(check())
    if as_json:
        print_json({"topic": one.topic.value, "state": one.state, "detail": one.detail} for one in found)
    else:
        rows = ((settings.topic_prefix + one.topic.value, one.state, one.detail) for one in found)
        print_table(("topic", "state", "detail"), rows, empty="no topics")
    if any(one.state == "differs" for one in found):
        click.echo(
            "some topics differ from what Cordboard relies on: change their settings, or use a new prefix", err=True
        )
        sys.exit(1)
