"""Opening the form reads the run: untouched fields get the new values, and a typed one is shown with three values."""

from __future__ import annotations

import json

import httpx

from runtui.domain.draft import Draft
from runtui.tui.features.changes.editing import ConflictView, Editing
from runtui.tui.screens.form import FormView
from tests import there
from tests.tui.conftest import Opener, Session
from tests.tui.test_faults import graph_error
from tests.tui.wires import NEWEST, Slow


def draft_of(session: Session) -> Draft:
    return there(session.draft)


def form_of(session: Session) -> FormView:
    return session.app.feature[Editing].form


async def send_held(session: Session, slow: Slow) -> None:
    """Send a change of the first run; the read before it waits until `slow.may_answer` is set."""
    slow.may_answer.set()
    await open_form_with_an_edit(session, slow)
    slow.may_answer.clear()
    await session.press("ctrl+s", "y")


def stored_count(session: Session) -> object:
    """Return the failedTasksCount in the list."""
    stored = session.workspace.store.get(NEWEST)
    return stored.raw["failedTasksCount"] if stored is not None else None


async def open_form(session: Session, slow: Slow) -> None:
    """Open the form of the first run, while its read is in progress."""
    assert session.runs.table.cursor_id == NEWEST
    await session.press("e")
    await session.until(lambda: session.view == "edit" and slow.reads)


async def open_form_with_an_edit(session: Session, slow: Slow) -> None:
    """Open the form of the first run, and type 8 into totalUsersCount."""
    await open_form(session, slow)
    await session.go_to("totalUsersCount")
    await session.type("8")


async def test_the_form_is_open_before_the_answer_and_follows_it(open_session: Opener) -> None:
    slow = Slow()
    async with open_session(wire=slow.wire) as session:
        slow.move(processingStatus="canceled", failedTasksCount=77)
        await open_form(session, slow)
        assert session.text_in("failedTasksCount") == "2", "what the list had"
        await session.go_to("totalUsersCount")
        await session.type("8")
        slow.may_answer.set()
        await session.until(lambda: session.text_in("failedTasksCount") == "77")
        assert session.field == "totalUsersCount", "the cursor stays where it is"
        assert session.text_in("totalUsersCount") == "8"
        assert session.text_in("processingStatus") == "canceled"
        assert session.status.text == (
            "The run has changed on the server: processingStatus failed → canceled, failedTasksCount 2 → 77."
        )
        body = draft_of(session).body()
        assert (body["processingStatus"], body["failedTasksCount"], body["totalUsersCount"]) == ("canceled", 77, 8)
        assert list(draft_of(session).edits) == ["totalUsersCount"]
        await session.until(lambda: stored_count(session) == 77)
        await session.press("ctrl+s", "y")
        await session.until(lambda: session.status.text.startswith(("#1 done", "#2 done", "#3 done")))
        assert json.loads(slow.graph.patches[0])["failedTasksCount"] == 77


async def test_no_message_about_a_run_that_has_not_changed(open_session: Opener) -> None:
    slow = Slow()
    async with open_session(wire=slow.wire) as session:
        await open_form(session, slow)
        before = draft_of(session)
        slow.may_answer.set()
        await session.until(lambda: form_of(session).newer)
        assert draft_of(session) is before
        assert session.status.text == ""


async def test_a_field_that_was_typed_into_shows_its_three_values_before_the_review(open_session: Opener) -> None:
    slow = Slow()
    async with open_session(wire=slow.wire) as session:
        slow.move(totalUsersCount=40, failedTasksCount=77)
        await open_form_with_an_edit(session, slow)
        slow.may_answer.set()
        await session.until(lambda: "resolves the conflict" in session.status.text)
        words = "Changed on the server while you edit: totalUsersCount. ctrl+s resolves the conflict."
        assert words in session.status.text
        assert "was 3, 40 on the server" in session.text()
        await session.type("1")
        assert session.text_in("totalUsersCount") == "81", "typing goes on where it was"
        await session.press("ctrl+s")
        assert session.view == "conflict"
        assert [line.strip() for line in session.inside(session.left).splitlines()][:4] == [
            "totalUsersCount: yours",
            "as opened  3",
            "○ theirs     40",
            "● yours      81",
        ]
        assert "failedTasksCount" not in session.inside(session.left)
        await session.press("escape")
        assert session.view == "edit", "back to the form it came from"
        assert session.text_in("totalUsersCount") == "81"
        await session.press("ctrl+s", "left", "enter")
        assert session.view == "edit"
        assert session.text_in("totalUsersCount") == "40"
        assert draft_of(session).edits == {}
        assert slow.graph.patches == []


async def test_a_field_put_back_takes_the_value_of_the_server(open_session: Opener) -> None:
    slow = Slow()
    async with open_session(wire=slow.wire) as session:
        slow.move(totalUsersCount=40)
        await open_form_with_an_edit(session, slow)
        slow.may_answer.set()
        await session.until(lambda: "resolves the conflict" in session.status.text)
        await session.press("f8")
        assert session.text_in("totalUsersCount") == "40"
        assert draft_of(session).body()["totalUsersCount"] == 40
        assert draft_of(session).edits == {}


async def test_an_open_dropdown_is_left_alone_until_it_closes(open_session: Opener) -> None:
    slow = Slow()
    async with open_session(wire=slow.wire) as session:
        slow.move(processingStatus="queued", failedTasksCount=77)
        await open_form(session, slow)
        await session.press("enter")
        slow.may_answer.set()
        await session.until(lambda: form_of(session).newer)
        assert session.form.menu is not None
        assert session.text_in("processingStatus") == "failed"
        await session.press("escape")
        await session.until(lambda: session.text_in("processingStatus") == "queued")
        assert session.text_in("failedTasksCount") == "77"
        assert draft_of(session).edits == {}


async def test_the_form_follows_what_a_listing_reads_meanwhile(open_session: Opener) -> None:
    slow = Slow()
    slow.may_answer.set()
    async with open_session(wire=slow.wire) as session:
        await open_form_with_an_edit(session, slow)
        slow.move(totalUsersCount=40, failedTasksCount=77, lastUpdatedDateTime="2026-11-20T10:00:07Z")
        session.workspace.refresh.now()
        await session.until(lambda: session.text_in("failedTasksCount") == "77")
        assert session.text_in("lastUpdatedDateTime") == "2026-11-20T10:00:07Z"
        assert "was 3, 40 on the server" in session.text()
        assert session.status.text == (
            "Changed on the server while you edit: totalUsersCount. ctrl+s resolves the conflict. "
            "The run has changed on the server: failedTasksCount 2 → 77."
        )


async def test_a_letter_on_its_way_into_the_draft_is_not_lost_to_newer_values(open_session: Opener) -> None:
    slow = Slow()
    slow.may_answer.set()
    async with open_session(wire=slow.wire) as session:
        await open_form_with_an_edit(session, slow)
        session.form.edit.insert("1")
        session.form.edited()  # the view has not heard of it when a listing is done
        form_of(session).catch_up(NEWEST, slow.graph.runs[NEWEST] | {"failedTasksCount": 77})
        await session.settled()
        assert (session.form.edit.text, session.form.edit.selected) == ("81", "")
        body = draft_of(session).body()
        assert (body["totalUsersCount"], body["failedTasksCount"]) == (81, 77)


async def test_a_review_stays_as_it_is_shown(open_session: Opener) -> None:
    slow = Slow()
    async with open_session(wire=slow.wire) as session:
        slow.move(failedTasksCount=77)
        await open_form_with_an_edit(session, slow)
        await session.press("ctrl+s")
        assert session.view == "review"
        reviewed = draft_of(session)
        slow.may_answer.set()
        await session.until(lambda: form_of(session).newer)
        assert draft_of(session) is reviewed
        await session.press("n")
        assert session.text_in("failedTasksCount") == "77"
        assert session.text_in("totalUsersCount") == "8"


async def test_a_run_that_cannot_be_read_is_reported_and_editing_goes_on(open_session: Opener) -> None:
    slow = Slow(trouble=graph_error(500, "InternalServerError", "It broke."))
    async with open_session(wire=slow.wire) as session:
        await open_form_with_an_edit(session, slow)
        slow.may_answer.set()
        await session.until(lambda: session.status.text)
        assert session.status.text == (
            "The run could not be read: The server failed. The form shows the values of the list; the run is read "
            "again before anything is sent."
        )
        assert session.text_in("totalUsersCount") == "8"
        slow.trouble = None
        await session.press("ctrl+s", "y")
        await session.until(lambda: session.status.text.startswith(("#1 done", "#2 done", "#3 done")))


async def test_the_next_refresh_drops_a_run_that_the_form_did_not_find(open_session: Opener) -> None:
    slow = Slow(trouble=graph_error(404, "itemNotFound", "There is no such run."))
    slow.may_answer.set()
    async with open_session(wire=slow.wire) as session:
        await open_form(session, slow)
        await session.until(lambda: "Not found" in session.status.text)
        assert session.workspace.store.doubted == {"w1"}, "whose runs are all read then"


async def test_the_next_refresh_drops_a_run_that_a_change_did_not_find(open_session: Opener) -> None:
    slow = Slow()
    slow.may_answer.set()
    async with open_session(wire=slow.wire) as session:
        await open_form_with_an_edit(session, slow)
        slow.trouble = graph_error(404, "itemNotFound", "There is no such run.")
        await session.press("ctrl+s", "y")
        await session.until(lambda: session.status.text.startswith("Not done. Not found."))
        assert session.workspace.store.doubted == {"w1"}, "whose runs are all read then"


async def test_an_answer_about_the_run_before_does_not_touch_this_one(open_session: Opener) -> None:
    slow = Slow()
    async with open_session(wire=slow.wire) as session:
        slow.move(totalUsersCount=40)
        await open_form(session, slow)
        await session.press("escape", "j", "e")
        await session.until(lambda: session.view == "edit")
        other = draft_of(session).run_id
        assert other != NEWEST
        slow.may_answer.set()
        await session.pilot.pause()
        assert draft_of(session).run_id == other
        assert session.text_in("totalUsersCount") == "3"


async def test_a_colleagues_change_since_the_form_was_opened_is_not_silently_overwritten(open_session: Opener) -> None:
    async with open_session(runs=12) as session:
        assert session.server is not None
        service = session.server.state
        service.scenario.use("colleague")
        await session.press("e")
        await session.until(lambda: session.view == "edit" and service.edits)
        ((run_id, theirs),) = service.edits
        await session.go_to("failedTasksCount")
        await session.type("999")
        await session.press("ctrl+s", "y")
        await session.until(lambda: session.view == "conflict")
        assert "(processingStatus). Nothing was written" in session.status.text
        merged = there(session.find(ConflictView).draft)
        assert (merged.run_id, merged.body()["failedTasksCount"]) == (run_id, 999)
        assert merged.body()["processingStatus"] == theirs["processingStatus"], "what nobody here touched is theirs"
        assert session.server.state.applied == []


async def test_the_request_tab_says_whether_a_change_was_sent(open_session: Opener) -> None:
    slow = Slow()
    async with open_session(wire=slow.wire) as session:
        await send_held(session, slow)
        session.app.chrome.panel.choose("request")
        await session.until(lambda: "Not sent yet." in session.text())
        slow.trouble = graph_error(403, "accessDenied", "No.")
        slow.may_answer.set()
        await session.until(lambda: "It was not sent." in session.text())
        assert not slow.graph.patches
        slow.trouble = None
        await session.press("e", "ctrl+s", "y")
        await session.until(lambda: session.status.text.startswith("#1 done"))
        session.app.chrome.panel.choose("request")
        await session.until(lambda: "PATCH http" in session.text())
        assert "not sent" not in session.text().lower()


async def test_a_form_keeps_its_request_while_another_change_ends(open_session: Opener) -> None:
    slow = Slow()
    async with open_session(wire=slow.wire) as session:
        await send_held(session, slow)
        await session.press("j", "e")
        await session.until(lambda: session.view == "edit")
        session.app.chrome.panel.choose("request")
        await session.until(lambda: "runs/run-3" in session.text())
        slow.may_answer.set()
        await session.until(lambda: session.status.text.startswith("#1 done"))
        request = session.app.chrome.panel.pages["request"]
        assert [fact.text for fact in request.facts][1:] == ["Nothing has changed yet."]
        assert request.facts[0].text.endswith("/run-3")


class Late(Slow):
    """A Graph whose answer to the first read of a run is on its way for long."""

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        answer = self.graph._handle(request)
        if request.method == "GET" and request.url.path.endswith(f"/{NEWEST}"):
            self.reads += 1
            if self.reads == 1:
                await self.may_answer.wait()
        return answer


async def test_an_answer_that_comes_after_the_change_does_not_put_the_old_values_back(open_session: Opener) -> None:
    late = Late()
    async with open_session(wire=late.wire) as session:
        await open_form(session, late)
        await session.go_to("failedTasksCount")
        await session.type("8")
        await session.press("ctrl+s", "y")
        await session.until(lambda: stored_count(session) == 8)
        await session.until(lambda: not session.workspace.active_saves)
        late.may_answer.set()
        await session.until(lambda: not any(worker.group == "read the run" for worker in session.app.workers))
        assert stored_count(session) == 8
