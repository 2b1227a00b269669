"""What this machine knows of one run: what was received of it, what people did with it, what was typed.

Invariant: the data of the panel, of `runtui show` and of a hand-over are the same. Reading them sends no request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from runtui.domain.rows import RunRow
from runtui.errors import RuntuiError
from runtui.services.records.journal import Entry
from runtui.services.store.results import RunResults
from runtui.services.store.store import StoredRun, workflow_of
from runtui.services.workspace import Workspace

if TYPE_CHECKING:
    from runtui.services.writing.write import Save


class KnownRun(NamedTuple):
    """The data about a run."""

    run_id: str
    stored: StoredRun | None
    """None if it is not in the list, or the store cannot be read."""
    workflow: Mapping[str, Any] | None = None
    results: RunResults | None = None
    """Its failed and waiting tasks; None until they are read."""
    entries: Sequence[Entry] = ()
    """Its journal entries, newest first."""
    has_draft: bool = False
    """False while the draft is being sent."""
    save: Save | None = None
    row: RunRow | None = None
    """Its row in the list, with its triage."""
    fault: RuntuiError | None = None
    """Why something of it could not be read."""

    @property
    def last_known(self) -> StoredRun | None:
        """The run as stored; if it is deleted, only its workflow, from the journal. None if neither has it."""
        sound = (entry for entry in self.entries if not entry.damage)
        changed = (StoredRun(self.run_id, entry.workflow_id, entry.workflow_name, {}) for entry in sound)
        return self.stored or next(changed, None)

    @property
    def lacks_results(self) -> bool:
        """True if its results have to be read: there are none, or the run has changed since."""
        return self.stored is not None and (self.results is None or self.results.is_outdated)


def known_run(workspace: Workspace, run_id: str, *, follow: bool = False) -> KnownRun:
    """Read the data about a run. A journal that cannot be read is its `fault`. `follow` takes over the triage that
    another runtui wrote before.

    Raises:
        RuntuiError: the store cannot be read.
    """
    store, save, fault = workspace.store, workspace.save_of(run_id), None
    entries: Sequence[Entry] = ()
    try:
        if follow:
            workspace.triage.follow()
        entries = workspace.journal.of_run(workspace.root, run_id)
    except RuntuiError as error:
        fault = error
    known = KnownRun(
        run_id,
        store.get(run_id),
        results=store.results_of(run_id),
        entries=entries,
        has_draft=run_id in workspace.drafts and save is None,
        save=save,
        row=next(iter(workspace.triage.rows([run_id])), None),
        fault=fault,
    )
    last = known.last_known
    return known._replace(workflow=workflow_of(store, last.workflow_id)) if last is not None else known
