"""Writes docs/flows: plays the flows and writes their pages. `python -m flow_book [NAME…]`, or all: `make flows`."""

import asyncio
import logging
import sys
from collections.abc import Iterable

import structlog

from flow_pages import FOLDER, Page, page_of, play_all, staged
from flow_pages_calls import CALL_PAGES
from flow_pages_conversation import CONVERSATION_PAGE
from flow_pages_failed import FAILED_PAGE
from flow_pages_parties import PARTY_PAGES
from flow_pages_queues import QUEUE_PAGES
from flow_pages_transfers import TRANSFER_PAGES

_ALL = (*CALL_PAGES, CONVERSATION_PAGE, *TRANSFER_PAGES, FAILED_PAGE, *PARTY_PAGES, *QUEUE_PAGES)
PAGES: dict[str, Page] = {page.name: page for page in _ALL}


async def write(pages: Iterable[Page]) -> None:
    """Play the pages and write what came of it."""
    async with staged() as plain:
        for page in pages:
            text = page_of(page, await play_all(page, plain))
            (FOLDER / f"{page.name}.md").write_text(text, encoding="utf-8")
            sys.stdout.write(f"docs/flows/{page.name}.md\n")


def main(names: list[str]) -> None:
    """Write the pages of these names, or all. Unknown names stop it with those that are known."""
    if unknown := set(names) - set(PAGES):
        sys.exit(f"no such flow: {', '.join(sorted(unknown))}; expected some of {', '.join(PAGES)}")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    asyncio.run(write(PAGES[name] for name in names or PAGES))


if __name__ == "__main__":
    main(sys.argv[1:])
