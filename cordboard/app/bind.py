"""`HOST:PORT` as an option of the command line: checked before anything is started."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from cordboard.errors import CordboardError
from cordboard.settings import is_bind


def checked_bind(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """The option's value. Wrong usage when it is no address; without a host it would be every address there is."""
    if not is_bind(value):
        text = f"{value!r} is no address to listen on: expected HOST:PORT, such as 127.0.0.1:8090"
        raise click.BadParameter(text, ctx, param)
    return value


@contextmanager
def told_when_taken(where: str) -> Iterator[None]:
    """An address that cannot be listened on is an error in one piece; `where` says how to choose another."""
    try:
        yield
    except OSError as error:
        raise CordboardError(f"{error.strerror or error}: another process may listen there already. {where}") from error
