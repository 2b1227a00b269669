"""The pages that a browser meets at the sandbox's sign-in: choose an account, say yes or no.

Invariant: every page says DEMO, asks for no password, loads nothing from anywhere, and shows foreign text as text.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Final

from runtui.sandbox.authority_browser import Landing, Visit
from runtui.sandbox.authority_directory import Account

_STYLE: Final = (
    "body{font:1rem/1.5 sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem}"
    "b.demo{background:#fc0;color:#000;padding:.2rem .6rem}button,select,input{font:inherit;padding:.3rem .8rem}"
)


def page_headers(nonce: str = "") -> dict[str, str]:
    """What a page is sent with; `nonce` is what its one script bears."""
    script = f"script-src 'nonce-{nonce}'; " if nonce else ""
    policy = f"default-src 'none'; {script}style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
    return {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }


def sign_in_page(visit: Visit, key: str, accounts: Iterable[Account]) -> bytes:
    """Whether a program may sign in with an account; `key` names the visit in the answer."""
    rights = f"<p>It asks for: {escape(visit.scope)}</p>"
    form = f'<form method="post"><input type="hidden" name="visit" value="{escape(key)}">{_choice(accounts)}</form>'
    return _page(f"Sign in to {visit.application.name}?", rights + form)


def device_page(accounts: Iterable[Account]) -> bytes:
    """Where the code of a device is typed in."""
    warning = "<p>Only enter a code that a program of your own shows you right now.</p>"
    code = '<p><label>Code <input name="user_code" autocomplete="off" required autofocus></label></p>'
    return _page("Enter the code", f'{warning}<form method="post">{code}{_choice(accounts)}</form>')


def message_page(title: str, text: str) -> bytes:
    """A page to read."""
    return _page(title, f"<p>{escape(text)}</p>")


def form_post_page(landing: Landing, nonce: str) -> bytes:
    """A form that brings the outcome to the program by itself; with a button where scripts do not run."""
    fields = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in landing.parameters.items()
    )
    form = f'<form method="post" action="{escape(landing.redirect_uri)}">{fields}<button>Continue</button></form>'
    return _page("Back to the program", f'{form}<script nonce="{escape(nonce)}">document.forms[0].submit()</script>')


def _choice(accounts: Iterable[Account]) -> str:
    options = "".join(
        f'<option value="{escape(account.username)}">{escape(f"{account.name} ({account.username})")}</option>'
        for account in accounts
    )
    return (
        f'<p><label>Account <select name="username">{options}</select></label></p>'
        '<p><button name="answer" value="approve">Approve</button> '
        '<button name="answer" value="refuse">Refuse</button></p>'
    )


def _page(title: str, body: str) -> bytes:
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>DEMO: {escape(title)}</title>'
        f'<style>{_STYLE}</style><p><b class="demo">DEMO</b> This is runtui\'s sandbox, not Microsoft. '
        f"It knows no password; never type one here.</p><h1>{escape(title)}</h1>{body}</html>"
    ).encode()
