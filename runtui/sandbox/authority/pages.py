"""The pages that a browser sees at the sandbox's sign-in: choose an account, approve or decline.

Invariant: every page says DEMO, asks for no password, loads nothing from anywhere, and shows foreign text as text.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Final

from runtui.sandbox.authority.directory import User
from runtui.sandbox.authority.grants import AuthorizationRequest, AuthorizationResponse

_STYLE: Final = (
    "body{font:1rem/1.5 sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem}"
    "b.demo{background:#fc0;color:#000;padding:.2rem .6rem}button,select,input{font:inherit;padding:.3rem .8rem}"
)


def page_headers(nonce: str = "") -> dict[str, str]:
    """The headers of a page; `nonce` is that of its one script."""
    script = f"script-src 'nonce-{nonce}'; " if nonce else ""
    policy = f"default-src 'none'; {script}style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
    return {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }


def sign_in_page(request: AuthorizationRequest, key: str, users: Iterable[User]) -> bytes:
    """Ask whether an application may sign in; `key` names the request in the answer."""
    scope = f"<p>It requests: {escape(request.scope)}</p>"
    form = f'<form method="post"><input type="hidden" name="visit" value="{escape(key)}">{_choice(users)}</form>'
    return _page(f"Sign in to {request.application.name}?", scope + form)


def device_page(users: Iterable[User]) -> bytes:
    """Ask for the code that a device shows."""
    warning = "<p>Only enter a code that your own program shows you right now.</p>"
    code = '<p><label>Code <input name="user_code" autocomplete="off" required autofocus></label></p>'
    return _page("Enter the code", f'{warning}<form method="post">{code}{_choice(users)}</form>')


def message_page(title: str, text: str) -> bytes:
    return _page(title, f"<p>{escape(text)}</p>")


def form_post_page(response: AuthorizationResponse, nonce: str) -> bytes:
    """A form that posts itself to the application; with a button where scripts do not run."""
    fields = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in response.parameters.items()
    )
    form = f'<form method="post" action="{escape(response.redirect_uri)}">{fields}<button>Continue</button></form>'
    return _page(
        "Back to the application", f'{form}<script nonce="{escape(nonce)}">document.forms[0].submit()</script>'
    )


def _choice(users: Iterable[User]) -> str:
    options = "".join(
        f'<option value="{escape(user.username)}">{escape(f"{user.name} ({user.username})")}</option>' for user in users
    )
    return (
        f'<p><label>Account <select name="username">{options}</select></label></p>'
        '<p><button name="answer" value="approve">Approve</button> '
        '<button name="answer" value="decline">Decline</button></p>'
    )


def _page(title: str, body: str) -> bytes:
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>DEMO: {escape(title)}</title>'
        f'<style>{_STYLE}</style><p><b class="demo">DEMO</b> This is runtui\'s sandbox, not Microsoft. '
        f"It asks for no password; never type one here.</p><h1>{escape(title)}</h1>{body}</html>"
    ).encode()
