"""The cost of a key: CPU time beside a cursor key in a stock DataTable, bytes beside the cells that it changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tests.bench.start import all_runs
from tests.bench.stock_app import FORM
from tests.bench.table import Pairs, Row
from tests.bench.terminal import DELAY_SECONDS, FOLLOWED_SECONDS, RUNTUI, STOCK, Stopwatch, bytes_of_change

CURSOR_KEY = "cursor key in a DataTable"
CHANGED_CELLS = "the cells that change"
LIST_COLUMNS = 72
"""The columns of the list on a screen of 120 columns; the panel has the rest."""


@contextmanager
def list_of(runs: int) -> Iterator[Stopwatch]:
    """Open the list of the demo; yield its terminal when the list is complete and nothing is drawn."""
    with Stopwatch((*RUNTUI, "demo", "--runs", str(runs), "--refresh", "0")) as terminal:
        terminal.wait_for(all_runs(runs))
        terminal.wait_until_quiet(2.0)
        yield terminal


@contextmanager
def stock_table(rows: int, app: str = "table") -> Iterator[Stopwatch]:
    """Open a DataTable with that many rows, alone or with a panel; yield its terminal when nothing is drawn."""
    with Stopwatch((*STOCK, app, str(rows))) as terminal:
        terminal.wait_for("11/12")
        terminal.wait_until_quiet(1.0)
        yield terminal


def cpu(key: str, *, after: Sequence[str] = ()) -> Callable[[], Pairs]:
    """Measure the CPU time of the first press of a key, after other keys, in a list of 240 runs."""

    def pairs() -> Pairs:
        with stock_table(240) as stock:
            while True:
                with list_of(240) as ours:
                    for before in after:
                        ours.cpu_of(before)
                    yield ours.cpu_of(key), stock.cpu_of("down")

    return pairs


def key_answered() -> Pairs:
    """Measure the wall time from a cursor key to the marked row, beside the same in a DataTable."""
    with list_of(240) as ours, stock_table(240) as stock:
        while True:
            yield ours.cost_of("down").milliseconds, stock.cost_of("down").milliseconds


def key_and_panel() -> Pairs:
    """Measure the CPU time of a cursor key and of the page about the run under it, whose results are read first."""
    with list_of(240) as ours, stock_table(240, "panel") as stock:
        while True:
            yield ours.cpu_of("down"), stock.cpu_of("down")


def form_seen() -> Pairs:
    """Measure the wall time from the first `e` to the form, beside a form of Textual's own widgets."""
    while True:
        with list_of(240) as ours, stock_table(240) as stock:
            ours.wait_until_quiet(FOLLOWED_SECONDS)
            yield ours.milliseconds_to(r"Edit  \w", "e"), stock.milliseconds_to(FORM, "e")


def sent(key: str, *, after: Sequence[str] = (), back: Sequence[str] = ()) -> Callable[[], Pairs]:
    """Measure the bytes of a key, panel included, beside the bytes that the changed cells need."""

    def pairs() -> Pairs:
        with list_of(1_000) as ours:
            ours.press(*after)
            while True:
                yield ours.cost_with_panel(key)
                ours.press(*back)

    return pairs


def help_page() -> Callable[[], Pairs]:
    """Measure the bytes of the second page of the help; the first page down only moves the cursor."""
    return sent("pagedown", after=("?", "pagedown"), back=("home", "pagedown"))


def sent_beside_stock(key: str, stock_key: str, *, back: str = "") -> Callable[[], Pairs]:
    """Measure the bytes of a key without the panel, beside those of a DataTable."""

    def pairs() -> Pairs:
        with list_of(1_000) as ours, stock_table(1_000) as stock:
            while True:
                yield ours.cost_of(key).bytes, stock.cost_of(stock_key).bytes
                if back:
                    ours.cost_of(back)

    return pairs


def idle(*after: str) -> Callable[[], Pairs]:
    """Measure the bytes of ten seconds without a key; none are needed."""

    def pairs() -> Pairs:
        with list_of(240) as ours:
            ours.press(*after)
            ours.wait_until_quiet(FOLLOWED_SECONDS)
            while True:
                yield ours.idle_bytes(10.0), 0

    return pairs


def many_runs(key: str, *, back: str) -> Callable[[], Pairs]:
    """Measure the wall time of a key without the panel, in 100,000 runs beside 1,000 runs."""

    def pairs() -> Pairs:
        with list_of(1_000) as few, list_of(100_000) as many:
            while True:
                few_cost, many_cost = few.cost_of(key), many.cost_of(key)
                yield many_cost.milliseconds, few_cost.milliseconds
                few.cost_of(back)
                many.cost_of(back)

    return pairs


def first_in_many_runs(key: str) -> Callable[[], Pairs]:
    """Measure the wall time of the first press of a key, in 100,000 runs beside 1,000 runs."""

    def pairs() -> Pairs:
        while True:
            with list_of(1_000) as few, list_of(100_000) as many:
                yield many.cost_of(key).milliseconds, few.cost_of(key).milliseconds

    return pairs


def held_on_a_slow_line(*keys: str) -> Callable[[], Pairs]:
    """Measure the lag of keys held at 30 a second over 256 kbit/s, with 40 ms each way, beside a round trip."""

    def pairs() -> Pairs:
        with list_of(10_000) as ours:
            for key in keys * 100:
                yield ours.lag_of_held(key, LIST_COLUMNS), 2 * DELAY_SECONDS * 1000

    return pairs


def held_beside_stock() -> Pairs:
    """Measure the lag of a cursor key held over the same line, beside a DataTable."""
    with list_of(1_000) as ours, stock_table(1_000) as stock:
        for key in ("down", "up") * 100:
            yield ours.lag_of_held(key, LIST_COLUMNS), stock.lag_of_held(key, 120)


def resized() -> Pairs:
    """Measure the bytes after the window of the terminal changed, beside the cells of the new screen."""
    with list_of(240) as ours:
        for columns in (110, 120) * 100:
            ours.wait_until_quiet(FOLLOWED_SECONDS)
            before = len(ours.received)
            ours.resize(columns, 40)
            ours.wait_until_quiet(FOLLOWED_SECONDS)
            blank = [[cell._replace(data=" ", bg="default") for cell in line] for line in ours.cells()]
            yield len(ours.received) - before, bytes_of_change(blank, ours.cells())


ROWS = (
    Row("cursor key answered", "ms wall", CURSOR_KEY, 1.5, key_answered, rounds=15),
    Row("cursor key and the panel", "ms", "DataTable and a Static", 1.5, key_and_panel, rounds=15),
    Row("form opens", "ms", CURSOR_KEY, 10, cpu("e")),
    Row("form in sight", "ms wall", "Selects and Inputs", 0.35, form_seen),
    Row("Tab in the form", "ms", CURSOR_KEY, 2.2, cpu("tab", after=("e",))),
    Row("dropdown opens", "ms", CURSOR_KEY, 4.4, cpu("enter", after=("e",))),
    Row("review opens", "ms", CURSOR_KEY, 5.5, cpu("ctrl+s", after=("e", "enter", "down", "enter"))),
    Row("help opens", "ms", CURSOR_KEY, 6.6, cpu("?")),
    Row("palette opens", "ms", CURSOR_KEY, 8.8, cpu("ctrl+p")),
    Row("theme changes", "ms", CURSOR_KEY, 16, cpu("T")),
    Row("cursor down", "B", "DataTable", 0.6, sent_beside_stock("down", "down")),
    Row("page down", "B", "DataTable", 0.4, sent_beside_stock("pagedown", "pagedown")),
    Row("one row changes", "B", "DataTable, one cell", 0.1, sent_beside_stock("space", "u")),
    Row("cursor down and the panel", "B", CHANGED_CELLS, 1.5, sent("down"), rounds=15),
    Row("page down in help", "B", CHANGED_CELLS, 1.15, help_page()),
    Row("next tab of the panel", "B", CHANGED_CELLS, 1.15, sent("]")),
    Row("resize", "B", "the cells of the screen", 1.15, resized),
    Row("idle for 10 s", "B", "nothing", 1, idle(), rounds=1),
    Row("idle for 10 s, palette open", "B", "nothing", 1, idle("ctrl+p"), rounds=1),
    Row("cursor key at 100,000 runs", "ms wall", "at 1,000", 1.2, many_runs("down", back="up"), rounds=40),
    Row("overview opens at 100,000 runs", "ms wall", "at 1,000", 1.5, first_in_many_runs("o"), rounds=3),
    Row("overview opens again at 100,000 runs", "ms wall", "at 1,000", 1.5, many_runs("o", back="esc"), rounds=10),
    Row("key held, slow line", "ms wall", "round trip", 1.5, held_on_a_slow_line("down", "up")),
    Row("page key held, slow line", "ms wall", "round trip", 5, held_on_a_slow_line("pagedown", "pageup")),
    Row("key held, slow line, beside a peer", "ms wall", "DataTable", 0.1, held_beside_stock),
)  # fmt: skip
