"""`runtui update`: change properties of one run, by the same draft, check and write path as the form.

Invariant: every value is checked before the server is asked anything, and all that is wrong is said at once. The draft
stands on the run as it is now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from typing import Final

from runtui.domain.draft import Draft
from runtui.domain.properties import EDITABLE_BY_NAME
from runtui.domain.times import now_ticks
from runtui.errors import FieldError, UsageError
from runtui.headless.changing import Manner, change, check_consent, nothing_sent_if_cancelled, settle_earlier
from runtui.headless.console import run_command
from runtui.headless.opening import Server, connected, find_run, read_run

NULL: Final = "null"
"""What stands for clearing a property, beside nothing at all."""


def update_run(
    server: Server, run_id: str, assignments: Sequence[str], manner: Manner, *, workflow_id: str | None = None
) -> int:
    """Write some properties of a run; the exit code.

    Args:
        server: Where.
        run_id: Which run.
        assignments: `name=value`, each as it would be typed into the form.
        manner: How.
        workflow_id: The workflow of the run; without it the run is looked for.

    Raises:
        RuntuiError: an assignment makes no sense, nobody can say yes, or the run cannot be read. Nothing was sent then.
    """
    now = now_ticks()
    texts = read_assignments(assignments, now)
    check_consent(server.settings, manner)

    def type_in(draft: Draft) -> Draft:
        for name, text in texts.items():
            draft = draft.typed(name, text, now)
        return draft

    return run_command(_update(server, run_id, workflow_id, type_in, manner))


def read_assignments(assignments: Sequence[str], now: int) -> dict[str, str]:
    """By property, the text to type; `now` (ticks) is what "-2h" counts from.

    Raises:
        UsageError: it tells everything that is wrong, a line each.
    """
    texts: dict[str, str] = {}
    problems: list[str] = []
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        name, text = name.strip(), "" if text.strip() == NULL else text
        if not equals:
            problems.append(f"{assignment!r} has no value: write NAME=VALUE, and NAME= to clear it.")
        elif name not in EDITABLE_BY_NAME:
            problems.append(_unknown(name))
        elif name in texts:
            problems.append(f"{name} is set twice.")
        else:
            texts[name] = text
            problems += _problems(name, text, now)
    if problems:
        raise UsageError("Nothing was sent", "\n".join(("These values cannot be written:", *problems)))
    return texts


def _problems(name: str, text: str, now: int) -> Iterator[str]:
    try:
        EDITABLE_BY_NAME[name].parse(text, now)
    except FieldError as error:
        sentence = str(error)
        yield sentence if sentence.startswith(name) else f"{name}: {sentence}"


def _unknown(name: str) -> str:
    by_small = {known.lower(): known for known in EDITABLE_BY_NAME}
    near = get_close_matches(name.lower(), by_small, 1, 0.5)
    meant = f" Did you mean {by_small[near[0]]}?" if near else ""
    return f"{name!r} is no property that can be written.{meant} Possible: {', '.join(EDITABLE_BY_NAME)}."


async def _update(
    server: Server, run_id: str, workflow_id: str | None, type_in: Callable[[Draft], Draft], manner: Manner
) -> int:
    async with connected(server) as workspace:
        with nothing_sent_if_cancelled():
            if not manner.dry_run:
                await settle_earlier(workspace, run_id)
            if workflow_id is None:
                workflow_id, run_id = await find_run(workspace, run_id)
            received = await read_run(workspace, workflow_id, run_id)
        # The id as the service spells it, so that the journal has one spelling.
        draft = type_in(Draft(received["id"], workflow_id, received, workspace.settings.body_mode))
        return await change(workspace, draft, manner)
