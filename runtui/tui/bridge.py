"""From services to the screen, the only way: announcements become messages.

Invariant: services know no widget. The store may speak from any thread; posting a message is safe from all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.message import Message
from textual.message_pump import MessagePump

from runtui.errors import RuntuiError
from runtui.graph.exchange import Exchange
from runtui.services.journal import Entry
from runtui.services.refresh import Progress
from runtui.services.workspace import Workspace
from runtui.services.write import Save

if TYPE_CHECKING:
    from runtui.auth.signin import SignIn, SignInState


class StoreChanged(Message):
    """Rows came, went or changed; a flood of these is one."""

    def can_replace(self, message: Message) -> bool:
        """The last one says as much as all of them."""
        return isinstance(message, StoreChanged)


class ListingChanged(Message):
    """The listing went on."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self.progress = progress

    def can_replace(self, message: Message) -> bool:
        """Only the newest progress matters."""
        return isinstance(message, ListingChanged)


class SaveChanged(Message):
    """A save went on or ended."""

    def __init__(self, save: Save) -> None:
        super().__init__()
        self.save = save


class Exchanged(Message):
    """A request was answered, or not."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__()
        self.exchange = exchange


class SettlingChanged(Message):
    """A change is found to be unknown, or an unknown one is settled."""

    def __init__(self, entry: Entry, *, at_start: bool) -> None:
        super().__init__()
        self.entry = entry
        self.at_start = at_start
        """Whether what earlier sessions left is still being looked at for the first time."""


class JournalChanged(Message):
    """An entry came, or became known."""

    def can_replace(self, message: Message) -> bool:
        """The last one says as much as all of them."""
        return isinstance(message, JournalChanged)


class SignInChanged(Message):
    """Somebody signed in or out, or the token is another one now."""

    def can_replace(self, message: Message) -> bool:
        """The state is read when it is drawn."""
        return isinstance(message, SignInChanged)


class DraftsFailed(Message):
    """Drafts can no longer be kept on disk."""

    def __init__(self, fault: RuntuiError) -> None:
        super().__init__()
        self.fault = fault


class JournalFailed(Message):
    """The journal cannot be read, or was found broken."""

    def __init__(self, trouble: RuntuiError) -> None:
        super().__init__()
        self.trouble = trouble


def _watch(sign_in: SignIn, screen: MessagePump) -> Callable[[], None]:
    def tell(_state: SignInState) -> None:
        screen.post_message(SignInChanged())

    return sign_in.watch(tell)


def listen(workspace: Workspace, screen: MessagePump) -> Callable[[], None]:
    """Carry everything that a connected workspace announces to a screen; the returned function ends that."""
    ends = (
        workspace.store.subscribe(lambda _ids: screen.post_message(StoreChanged())),
        workspace.refresh.changed.subscribe(lambda progress: screen.post_message(ListingChanged(progress))),
        workspace.saves.changed.subscribe(lambda save: screen.post_message(SaveChanged(save))),
        workspace.reconciler.changed.subscribe(
            lambda entry: screen.post_message(SettlingChanged(entry, at_start=not workspace.reconciler.has_checked_all))
        ),
        workspace.reconciler.failed.subscribe(lambda trouble: screen.post_message(JournalFailed(trouble))),
        workspace.journal.changed.subscribe(lambda _number: screen.post_message(JournalChanged())),
        workspace.drafts.failed.subscribe(lambda fault: screen.post_message(DraftsFailed(fault))),
        workspace.exchanged.subscribe(lambda exchange: screen.post_message(Exchanged(exchange))),
        *([_watch(workspace.sign_in, screen)] if workspace.sign_in is not None else ()),
    )

    def end() -> None:
        for unsubscribe in ends:
            unsubscribe()

    return end
