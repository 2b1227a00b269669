"""Page keys that arrive before a list of options has been laid out, as they do over a slow line."""

from __future__ import annotations

from textual.app import App, ComposeResult

from runtui.tui.widgets.option_lists import PagedList


class Lists(App[None]):
    def compose(self) -> ComposeResult:
        yield PagedList("one", "two", "three")


async def test_page_keys_before_the_layout_do_nothing_and_work_after_it() -> None:
    app = Lists()
    async with app.run_test(notifications=True) as pilot:
        options = app.query_one(PagedList)
        options.display = False
        await pilot.pause()
        options.clear_options().add_options(["one", "two", "three"])
        options.highlighted = 1
        await options.run_action("page_up")
        await options.run_action("page_down")
        assert options.highlighted == 1
        options.display = True
        await pilot.pause()
        await options.run_action("page_down")
        assert options.highlighted == 2
