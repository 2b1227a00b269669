"""What views tell the workbench. Messages of one widget alone are nested in that widget."""

from __future__ import annotations

from textual.message import Message

from runtui.domain.draft import Draft
from runtui.graph.exchange import Outcome
from runtui.services.journal import Entry
from runtui.services.journal_query import EntryQuery, ExportFormat
from runtui.tui.sign_in_words import Way
from runtui.tui.widgets.status_line import Holds, Severity, for_good


class Said(Message):
    """A sentence for the status line; it goes with the view in sight, or before that when it holds no longer."""

    def __init__(self, text: str, severity: Severity = "information", holds: Holds = for_good) -> None:
        super().__init__()
        self.text = text
        self.severity: Severity = severity
        self.holds = holds


class DetailsRequested(Message):
    """Show a run, and what failed in it, in the side panel."""

    def __init__(self, run_id: str) -> None:
        super().__init__()
        self.run_id = run_id


class FormOpened(Message):
    """A draft stands in the form: its run is to be read."""

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self.draft = draft


class DraftChanged(Message):
    """The draft in the form is another one now; it is kept already."""

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self.draft = draft

    def can_replace(self, message: Message) -> bool:
        """Only the newest draft is drawn."""
        return isinstance(message, DraftChanged)


class ReviewRequested(Message):
    """Show what would be sent, and ask."""

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self.draft = draft


class DropRequested(Message):
    """Drop a whole draft; the key that asks for it has to be pressed twice."""

    def __init__(self, draft: Draft, action_id: str) -> None:
        super().__init__()
        self.draft = draft
        self.action_id = action_id


class MergeChanged(Message):
    """The draft that the chosen values would make is another one now."""

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self.draft = draft


class Merged(Message):
    """The values are chosen: go on with this draft."""

    def __init__(self, draft: Draft, *, to_review: bool) -> None:
        super().__init__()
        self.draft = draft
        self.to_review = to_review


class ScenarioChosen(Message):
    """Let the demo's sandbox behave like this."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


class ProfileChosen(Message):
    """Open this profile in the place of the present one."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


class SignInChosen(Message):
    """Sign in by this way."""

    def __init__(self, way: Way) -> None:
        super().__init__()
        self.way: Way = way


class LeaveSignIn(Message):
    """Give up the sign-in under way, or leave the ways to sign in."""


class SignOutRequested(Message):
    """Forget the sign-in; the key that asks for it has to be pressed twice."""


class SendConfirmed(Message):
    """Send exactly this draft; `undoes` is the entry of the journal that it takes back."""

    def __init__(self, draft: Draft, undoes: int | None) -> None:
        super().__init__()
        self.draft = draft
        self.undoes = undoes


class UndoRunRequested(Message):
    """Take the last change of a run back."""

    def __init__(self, run_id: str) -> None:
        super().__init__()
        self.run_id = run_id


class _OfEntry(Message):
    """Something about one entry of the journal."""

    def __init__(self, entry: Entry) -> None:
        super().__init__()
        self.entry = entry


class EntryRequested(_OfEntry):
    """Show what was sent, and what came back, in the side panel."""


class UndoRequested(_OfEntry):
    """Take it back."""


class LookRequested(_OfEntry):
    """Read its run again: its outcome is unknown."""


class Decided(Message):
    """A person says what became of an entry; the key that says so has to be pressed twice."""

    def __init__(self, entry: Entry, outcome: Outcome, action_id: str) -> None:
        super().__init__()
        self.entry = entry
        self.outcome = outcome
        self.action_id = action_id


class ExportRequested(Message):
    """Ask in which format these entries are wanted as a file."""

    def __init__(self, entries: EntryQuery) -> None:
        super().__init__()
        self.entries = entries


class ExportChosen(Message):
    """Write these entries to a file."""

    def __init__(self, entries: EntryQuery, form: ExportFormat) -> None:
        super().__init__()
        self.entries = entries
        self.form: ExportFormat = form


class Left(Message):
    """A view is done: back to the one before it."""


class ListChanged(Message):
    """Filter, order or marks of the list are others now."""
