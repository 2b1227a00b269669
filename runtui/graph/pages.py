"""Reading a collection of Graph: a GET, repeated while that makes sense, and the pages that follow it.

Invariant: an answer reaches the caller only if it is a JSON object with a list, without its items that have no id; such
a listing fails at its end, so that nobody takes it for complete. Next links are followed verbatim, only below the same
root, and never twice. Of all large answers, one at a time is parsed; a page that is used where it is parsed
(`PageReader.each`) is gone before the next one.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

from runtui.domain.report import Outcome
from runtui.errors import ExitCode, RuntuiError
from runtui.graph.batch import Headers
from runtui.graph.exchange import Exchange
from runtui.graph.faults import Fault, fault_of, mismatch, read_answer, without_ids
from runtui.graph.network import LARGE_BODY, return_large_blocks
from runtui.graph.retry import Pace, Retry, retry_of
from runtui.graph.root import resolve_link
from runtui.graph.transport import Transport

UsedT = TypeVar("UsedT")

PAGE_SIZE = 999
"""The number of items to request per page; Graph documents no size for these collections and may send fewer."""

MAX_EMPTY_PAGES = 50
"""The most pages in a row, each with a next link, that bring nothing new: empty ones, which OData allows, and repeated
ones. More look like a loop, even with ever new links."""

SMALL_BODY = 32 * 1024
"""The most bytes of a page that are parsed on the event loop: less than 1 ms, about what a thread costs. A larger page
would delay a key."""

NO_SUCH_PATH = frozenset({400, 404, 405, 501})
"""The statuses of a server that has no such collection."""

_NO_BATCH = NO_SUCH_PATH | {403}
"""The statuses of a server that has no `$batch`, or does not allow it to this caller: each item is judged by itself."""

# Members after an enum's sentinel are sent only on request; otherwise they read "unknownFutureValue".
ALL_ENUM_MEMBERS = "include-unknown-enum-members"


def prefer(*preferences: str) -> Headers:
    return (("Prefer", ", ".join(preferences)),)


class CollectionPage(NamedTuple):
    """One page of a collection, each item with a non-empty `id`, and its exchange."""

    items: tuple[dict[str, Any], ...]
    exchange: Exchange

    def texts(self) -> list[str] | None:
        """Return the JSON of each item as received, in ASCII on one line; None if the body does not simply show it.

        The body is cut at each "},{". A cut within an item would make one piece too many, unless another cut is missing
        because white space stands between two items; the piece of these two has a "{" in it, as has one that is cut
        within an array of objects. So the pieces are counted, and the first, the last and those with a "{" are parsed
        again.
        """
        body = self.exchange.response_body
        if not body.isascii() or any(sign in body for sign in (b"\\", b"\n", b"\r")):
            return None
        pieces = re.split("},{", body.decode())  # twice as fast as str.split
        pieces[0] = pieces[0].split("{", 2)[-1]
        pieces[-1] = pieces[-1].rsplit("}", 2)[0]
        if len(pieces) != len(self.items):
            return None
        texts = ["{" + piece + "}" for piece in pieces]
        doubtful = {0, len(pieces) - 1, *(number for number, piece in enumerate(pieces) if "{" in piece)}
        try:
            return texts if all(json.loads(texts[number]) == self.items[number] for number in doubtful) else None
        except json.JSONDecodeError:
            return None


async def all_items(pages: AsyncIterator[CollectionPage]) -> list[dict[str, Any]]:
    return [item async for page in pages for item in page.items]


class GraphError(RuntuiError):
    """A listing that cannot continue: the fault, and its exchange."""

    def __init__(self, fault: Fault, exchange: Exchange, *, lacks_ids: bool = False) -> None:
        super().__init__(fault.title, fault.message, fault.hint)
        self.fault = fault
        self.exchange = exchange
        self.lacks_ids = lacks_ids
        """True at the end of a listing that has items without an id; all others have reached the caller."""
        self.exit_code = ExitCode.UNKNOWN if fault.outcome is Outcome.UNKNOWN else ExitCode.NOT_DONE


class PageReader:
    """Reads below one Graph root, `page_size` items at a time; `on_unusable` gets each page that ends a listing."""

    def __init__(self, transport: Transport, page_size: int, on_unusable: Callable[[Exchange], object]) -> None:
        self.transport = transport
        self.has_batch = True
        """True until the root refuses a `$batch`."""
        self._page_size = page_size
        self._on_unusable = on_unusable
        self._turn = threading.Lock()
        """Held while an answer is parsed and used in a thread."""

    async def get(
        self,
        path_or_url: str,
        purpose: str,
        headers: Headers,
        pace: Pace | None,
        *,
        alone: bool = False,
        batch: str | None = None,
    ) -> Exchange:
        """Send a GET as often as the pace allows, and once more with another token if the token was refused. `batch` is
        the body of a request for several GETs; it is a POST only in form."""
        tries, has_new_token = 0, False
        while True:
            if pace is not None:
                await pace.ready()
            exchange = await self.transport.send(
                "GET" if batch is None else "POST",
                path_or_url,
                purpose=purpose,
                json_body=batch,
                headers=headers,
                alone=alone,
            )
            judged = exchange if batch is None else replace(exchange, method="GET")
            retry = retry_of(judged, tries + 1, has_new_token=has_new_token)
            if retry is Retry.NEW_TOKEN and await self.transport.renew_token(exchange):
                has_new_token = True
                continue
            tries += 1
            if pace is None or not pace.retry(judged, tries):
                return exchange

    def refuses_batch(self, batch: Exchange, *, writing: bool) -> bool:
        """Return whether the root offers no `$batch`, by this answer to one; if so, no other is sent. Of a batch with
        writes, only the service itself can say so: then nothing in it was carried out."""
        fault = fault_of(batch, writing=writing) if batch.status in _NO_BATCH else None
        is_refused = fault is not None and fault.outcome is Outcome.NOT_DONE
        self.has_batch = self.has_batch and not is_refused
        return is_refused

    def headers(self, most: int = PAGE_SIZE) -> Headers:
        """Return the headers of each page: a next link does not include them."""
        return prefer(ALL_ENUM_MEMBERS, f"odata.maxpagesize={min(self._page_size, most)}")

    def pages(
        self, path: str, purpose: str, pace: Pace | None, *, first: Exchange | None = None
    ) -> AsyncIterator[CollectionPage]:
        """Yield the pages of a collection, as `each` reads them."""
        return self.each(path, purpose, pace, _whole, first=first)

    async def each(
        self,
        path: str,
        purpose: str,
        pace: Pace | None,
        use: Callable[[CollectionPage], UsedT],
        *,
        first: Exchange | None = None,
    ) -> AsyncIterator[UsedT]:
        """Yield what `use` returns for each page of a collection; it is called in the thread that parses the page.

        Next links are followed verbatim, only below the same root and never twice, until there is none. A relative link
        starts at its page. `first` is the answer to the first request, if it is known.

        Raises:
            GraphError: a page cannot be read, or items had no id; then after the last page.
        """
        link: str | None = self.transport.url(path)
        seen: set[str] = set()
        brought: set[int | None] = set()
        empty = without_id = 0
        while link is not None:
            seen.add(link)
            exchange = first or await self.get(link, purpose, self.headers(), pace)
            first = None
            is_small = use is _whole and len(exchange.response_body) <= SMALL_BODY
            try:
                read = _read(exchange, use) if is_small else await self.alone(partial(_read, exchange, use))
            except GraphError:
                self._on_unusable(exchange)
                raise
            empty = 0 if read.ids is not None and read.ids not in brought else empty + 1
            brought.add(read.ids)
            without_id += read.without_id
            found = read.next_link
            yield read.used
            link = resolve_link(link, found) if found and isinstance(found, str) else None
            if found not in (None, "") and (link is None or link in seen or empty > MAX_EMPTY_PAGES):
                self._on_unusable(exchange)
                raise GraphError(mismatch(exchange, "Its next links lead to nothing new.", writing=False), exchange)
            if link is None and without_id:
                self._on_unusable(exchange)
                raise GraphError(without_ids(exchange, without_id), exchange, lacks_ids=True)
            del read, exchange  # free megabytes before the next page is read

    async def alone(self, parse: Callable[[], UsedT]) -> UsedT:
        """Call what parses a large answer in a thread, and nothing else of this kind meanwhile: in Python, JSON takes
        five times its size."""

        def in_turn() -> UsedT:
            with self._turn:
                return parse()

        return await asyncio.to_thread(in_turn)


def object_of(exchange: Exchange) -> dict[str, Any]:
    body, fault = read_answer(exchange, writing=False)
    if body is None or fault is not None:
        raise GraphError(fault or mismatch(exchange, "The answer is empty.", writing=False), exchange)
    return body


class _Read(NamedTuple, Generic[UsedT]):
    """What was made of a page, and how the listing goes on."""

    used: UsedT
    ids: int | None
    """A value that stands for the ids of its items; None if it has none."""
    without_id: int
    next_link: object


def _whole(page: CollectionPage) -> CollectionPage:
    return page


def _read(exchange: Exchange, use: Callable[[CollectionPage], UsedT]) -> _Read[UsedT]:
    if len(exchange.response_body) > LARGE_BODY:
        return_large_blocks()
    body = object_of(exchange)
    items = body.get("value")
    if not isinstance(items, list):
        raise GraphError(mismatch(exchange, 'The answer has no list "value".', writing=False), exchange)
    named = tuple(item for item in items if isinstance(item, dict) and isinstance(item.get("id"), str) and item["id"])
    ids = hash(tuple(item["id"] for item in named)) if named else None
    next_link = exchange.as_received(body).get("@odata.nextLink")
    return _Read(use(CollectionPage(named, exchange)), ids, len(items) - len(named), next_link)
