"""Server text that attacks a terminal or a markup language: for tests, and to show that it stays text.

Invariant: only names, descriptions, reasons and undeclared properties are hostile; ids, enums, numbers and moments stay
true.
"""

from __future__ import annotations

from typing import Final

from runtui.sandbox.progress import RunPlan
from runtui.sandbox.tenant import Workflow

HOSTILE_TEXTS: Final = (
    "[/x] closes what was never opened",
    "[@click=app.quit]press me[/]",
    "[bold red]Onboard[/bold red] [link=file:///etc/passwd]here[/link]",
    "clear \x1b[2J\x1b[H title \x1b]0;owned\x07 clipboard \x1b]52;c;b3duZWQ=\x07",
    "C1 \x9b31m red \x9d0;owned\x9c and \x85 next line",
    "bidi \u202egpj.exe\u202c isolate \u2066abc\u2069",
    "zero\u200bwidth\u2060join\ufeffer",
    "two\nlines\tand\r a carriage return \x08\x7f\x00",
    "combining Z\u0351\u0344\u0306\u0352a\u0310\u0346l\u0340g\u0341o, flag 🇯🇵, family 👨‍👩‍👧‍👦",
)


def hostile_workflows(workflows: dict[str, Workflow]) -> dict[str, Workflow]:
    """The workflows, most of them renamed to an attack; the last ones stay harmless to compare with."""
    texts = dict(zip(workflows, HOSTILE_TEXTS, strict=False))
    return {
        key: item._replace(display_name=texts[key], description=texts[key]) if key in texts else item
        for key, item in workflows.items()
    }


def hostile_plans(plans: list[RunPlan]) -> list[RunPlan]:
    """The plans, with undeclared properties on every fifth run, and attacks for failure reasons."""
    return [_hostile_plan(plan, index) for index, plan in enumerate(plans)]


def _hostile_plan(plan: RunPlan, index: int) -> RunPlan:
    text = HOSTILE_TEXTS[index % len(HOSTILE_TEXTS)]
    if plan.reason is not None:
        plan = plan._replace(reason=text)
    if index % 5 == 0:
        plan = plan._replace(extra={"[b]note[/b]": text, "nested": {text: [text, None, 9_007_199_254_740_993]}})
    return plan
