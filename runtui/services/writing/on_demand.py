"""Which run of a workflow an *activate* has started, judged from the new runs since then.

Invariant: a run does not name its starter. So a run proves the action only if it is on demand, is new, is scheduled
within WINDOW after the action was sent, and is for exactly the users that were sent, all of them known. Nothing is
proved if a second new run may fit too, or if another action in this journal may have started it. Every time is by the
service's clock, never by this machine's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from runtui.domain.report import Outcome
from runtui.domain.times import TICKS_PER_SECOND
from runtui.domain.triage.received import text_in, ticks_in
from runtui.domain.triage.service_actions import ACTIVE_STATUSES, AS_OF, RECENT_RUNS, STATUS, SUBJECT_IDS

if TYPE_CHECKING:
    from runtui.services.records.journal import Entry, Intent

WINDOW: Final = 120 * TICKS_PER_SECOND
"""How long after sending an action may still start its run: a later run was probably started by another request."""

TOLERANCE: Final = TICKS_PER_SECOND
"""`Date` counts whole seconds."""

_Claim = Literal["", "may be", "is", "late"]
"""How a run fits an action: "" not at all, "may be" if more must be known, "is" completely, "late" completely except
for its start."""


class StartedRuns(NamedTuple):
    """The ids of the new runs that an action may have started."""

    fitting: tuple[str, ...]
    undecided: tuple[str, ...]
    """The runs whose users are not all known yet."""
    late: tuple[str, ...]
    rivals: tuple[str, ...]
    """The runs of `fitting` that another action in the journal may have started."""

    @property
    def proof(self) -> str:
        """The run that the action has started; empty if none is proved."""
        return self.fitting[0] if len(self.fitting) == 1 and not self.undecided and not self.rivals else ""

    @property
    def words(self) -> str:
        """A sentence that says why nothing is proved; empty if something is."""
        if self.proof:
            return ""
        if self.rivals:
            return f"Run {self.rivals[0]} is new, but another action of yours may have started it."
        if len(self.fitting) > 1:
            runs = ", ".join(self.fitting)
            return f"Several new runs have these users, so it is unclear which one is yours: {runs}."
        if self.undecided:
            return f"Run {self.undecided[0]} is new, but not all of its users are known yet."
        if self.late:
            length = f"{WINDOW // TICKS_PER_SECOND // 60} minutes"
            return f"Run {self.late[0]} has these users, but began more than {length} after this action was sent."
        return "The service shows no new run of these users so far."


def started_runs(intent: Intent, workflow: Mapping[str, Any], others: Collection[Entry] = ()) -> StartedRuns | None:
    """Judge the runs of a workflow (from `observe` after an action was sent); return None if nothing can be compared.

    `others` are the other actions on the workflow in the journal; damaged ones may have started anything.
    """
    if not {AS_OF, RECENT_RUNS} <= intent.before.keys() or RECENT_RUNS not in workflow:
        return None
    others = [other for other in others if other.client_request_id != intent.client_request_id]
    known = {other.new_run for other in others}
    found: dict[str, list[str]] = {"is": [], "may be": [], "late": []}
    rivals = []
    for run in workflow[RECENT_RUNS]:
        claim = _claim(run, intent) if run["id"] not in known else ""
        if claim:
            found[claim].append(run["id"])
        if claim == "is" and any(_may_have_started(other, run) for other in others):
            rivals.append(run["id"])
    return StartedRuns(tuple(found["is"]), tuple(found["may be"]), tuple(found["late"]), tuple(rivals))


def _may_have_started(other: Entry, run: Mapping[str, Any]) -> bool:
    """Return whether another action in the journal may have started a run. An action with a known run has started that
    one."""
    if other.damage:
        return True
    if other.action != "activate" or other.new_run or other.outcome is Outcome.NOT_DONE:
        return False
    if AS_OF not in other.before:
        return _users_of(run) == _wanted(other)
    return _claim(run, other) in ("is", "may be")


def _claim(run: Mapping[str, Any], intent: Intent) -> _Claim:
    """Return how a run fits an action with known facts from before it was sent."""
    if run["id"] in intent.before.get(RECENT_RUNS, ()) or run.get("workflowExecutionType") != "onDemand":
        return ""
    began, sent = ticks_in(run, "scheduledDateTime"), ticks_in(intent.before, AS_OF)
    wanted, users, total = _wanted(intent), _users_of(run), run.get("totalUsersCount")
    if began is None or sent is None or not wanted:
        return "may be"
    is_late = began > sent + WINDOW
    if users == wanted and total == len(wanted) and began >= sent - TOLERANCE:
        return "late" if is_late else "is"
    are_others = users is not None and (not users <= wanted or text_in(run, STATUS) not in ACTIVE_STATUSES)
    are_more = isinstance(total, int) and total > len(wanted)
    return "" if is_late or began < sent - TOLERANCE or are_others or are_more else "may be"


def _wanted(intent: Intent) -> frozenset[str]:
    subjects = intent.sent.get("subjects")
    found = subjects if isinstance(subjects, list) else ()
    return frozenset(str(user.get("id")).casefold() for user in found if isinstance(user, dict))


def _users_of(run: Mapping[str, Any]) -> frozenset[str] | None:
    """Return the ids of the known users of a run; None if they were not read."""
    found = run.get(SUBJECT_IDS)
    return None if found is None else frozenset(str(user).casefold() for user in found)
