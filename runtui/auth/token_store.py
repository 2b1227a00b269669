"""Stores tokens between two starts, in one file for each sign-in service, tenant and application.

Invariant: the file is whole or absent, even if a writer is killed. It is 0600 in a folder that nobody else can write
to. Concurrent processes do not lose each other's writes. A refresh is not stored if its account signed out meanwhile.
Only this module uses private names of MSAL (`TokenCache._cache`, `._lock`).
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeAlias

from runtui.auth.errors import SignInError
from runtui.private_files import explanation, locked_file, open_private, private_folder, replace_private
from runtui.redact import register_secret
from runtui.unused_modules import without_unused

Tokens: TypeAlias = dict[str, Any]
"""MSAL's stored data: entries by kind ("AccessToken", "Account", …) and key."""

_TOKEN_FIELDS: Final = ("access_token", "refresh_token", "id_token")
_LARGEST: Final = 8 * 1024 * 1024
"""The largest valid file, in bytes."""


class MemoryTokenStore:
    """Tokens in memory, which end with the process. MSAL's own lock serializes its threads."""

    def __init__(self) -> None:
        self._tokens = "{}"
        self._writes = 0

    def read(self) -> Tokens:
        tokens: Tokens = json.loads(self._tokens)
        return tokens

    @contextmanager
    def update(self) -> Iterator[Tokens]:
        tokens = self.read()
        yield tokens
        self._tokens, self._writes = json.dumps(tokens), self._writes + 1

    def version(self) -> object:
        return self._writes

    def delete(self) -> None:
        self._tokens, self._writes = "{}", self._writes + 1


class FileTokenStore:
    """Tokens in a file that several processes may share. A missing folder is created.

    Every method blocks. All but `version` raise SignInError if the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock_path = path.with_name(path.name + ".lock")
        self._new_path = path.with_name(path.name + ".tmp")
        self._corrupt_path = path.with_name(path.name + ".corrupt")

    def read(self) -> Tokens:
        """Return a copy of the stored tokens. A malformed file is set aside (`.corrupt`) and counts as empty."""
        with self._translated_errors():
            tokens = self._parse()
            if tokens is None:
                with self._locked():
                    tokens = self._parse_or_set_aside()
            return tokens

    @contextmanager
    def update(self) -> Iterator[Tokens]:
        """Lock the file and yield its tokens for a change, which is written at the end unless the block fails."""
        with self._translated_errors(), self._locked():
            tokens = self._parse_or_set_aside()
            before = json.dumps(tokens)
            yield tokens
            if json.dumps(tokens) != before:
                replace_private(self.path, self._new_path, json.dumps(tokens))

    def version(self) -> object:
        """Return a value that changes after each write by any process."""
        try:
            found = self.path.lstat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def delete(self) -> None:
        with self._translated_errors(), self._locked():
            self.path.unlink(missing_ok=True)
            self._corrupt_path.unlink(missing_ok=True)

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """Translate the error of a file that cannot be used: an unsafe folder, a link in its place, a full disk."""
        try:
            yield
        except OSError as error:
            message, cure = explanation(self.path, error, "Correct that.")
            hint = f'{cure} Or keep tokens in memory only: token-cache = "memory".'
            raise SignInError("The token cache cannot be used", message, hint) from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        private_folder(self.path.parent)
        # A kernel lock ends with its process. The token file itself is replaced at each write, so it cannot be locked.
        with locked_file(self._lock_path):
            # A leftover file is of a killed process, since a live writer holds the lock.
            self._new_path.unlink(missing_ok=True)
            yield

    def _parse_or_set_aside(self) -> Tokens:
        tokens = self._parse()
        if tokens is None:
            self.path.replace(self._corrupt_path)
        return tokens or {}

    def _parse(self) -> Tokens | None:
        """Return the tokens in the file: empty if there is no file, None if it is malformed."""
        if self.version() is None:
            return {}
        private_folder(self.path.parent)
        try:
            file = open_private(self.path)
        except FileNotFoundError:
            return {}
        with os.fdopen(file, "rb") as stream:
            data = stream.read(_LARGEST + 1)
        try:
            tokens = json.loads(data)
        except (ValueError, RecursionError):
            return None
        if not _is_sound(tokens) or len(data) > _LARGEST:
            return None
        _register_stored(tokens)
        return tokens  # type: ignore[no-any-return]


TokenStore: TypeAlias = FileTokenStore | MemoryTokenStore


def cache_path(folder: Path, authority: str, tenant_id: str, client_id: str) -> Path:
    """Return the file for a sign-in service, tenant and application. No other tool uses it."""
    key = "\n".join((authority, tenant_id, client_id)).lower()
    return folder / f"tokens-{sha256(key.encode()).hexdigest()[:16]}.json"


class _Stored:
    """A mixin for MSAL's token cache: it reads the store before each search and writes each change at once."""

    store: TokenStore
    _cache: Tokens
    _lock: threading.RLock
    _is_changing = False

    def add(self, event: Mapping[str, Any], **options: Any) -> None:
        _register_tokens(event.get("response"))
        with self._changing():
            # This is a refresh. If its refresh token is missing, the account has signed out in some process.
            if event.get("skip_account_creation") and not self._has_refresh_token(event):
                return
            super().add(event, **options)  # type: ignore[misc]

    def modify(self, *entry: Any, **options: Any) -> None:
        with self._changing():
            super().modify(*entry, **options)  # type: ignore[misc]

    def update_rt(self, rt_item: Mapping[str, Any], new_rt: str) -> None:
        # MSAL calls this after each refresh, besides `add`. Do not restore a deleted refresh token.
        with self._changing():
            if self.key_makers["RefreshToken"](**rt_item) in self._cache.get("RefreshToken", {}):  # type: ignore[attr-defined]
                super().update_rt(rt_item, new_rt)  # type: ignore[misc]

    def search(self, *query: Any, **options: Any) -> Iterator[Any]:
        with self._lock:
            if not self._is_changing:
                self._cache = self.store.read()
        found: Iterator[Any] = super().search(*query, **options)  # type: ignore[misc]
        return found

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._lock:
            if self._is_changing:
                yield
                return
            with self.store.update() as self._cache:
                self._is_changing = True
                try:
                    yield
                finally:
                    self._is_changing = False

    def _has_refresh_token(self, event: Mapping[str, Any]) -> bool:
        used = event.get("data", {}).get("refresh_token")
        return any(entry.get("secret") == used for entry in self._cache.get("RefreshToken", {}).values())


class _Staged:
    """A mixin for MSAL's token cache with only the last response, also as `event`: MSAL may drop one for another."""

    _cache: Tokens
    _lock: threading.RLock

    def __init__(self) -> None:
        super().__init__()
        self.event: Mapping[str, Any] | None = None

    def add(self, event: Mapping[str, Any], **options: Any) -> None:
        _register_tokens(event.get("response"))
        with self._lock:
            self.event = event
            self._cache.clear()
            super().add(event, **options)  # type: ignore[misc]


def load_msal() -> Any:
    """Import MSAL without the HTTP client that it does not get, and silence its log: at DEBUG it has device codes, and
    without a handler its errors go to the terminal."""
    with without_unused("msal"):
        import msal
    logger = logging.getLogger("msal")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return msal


def stored_cache(store: TokenStore) -> Any:
    """Return MSAL's token cache on top of a store. It imports MSAL, so call it in a thread."""
    cache = type("StoredTokenCache", (_Stored, load_msal().TokenCache), {})()
    cache.store = store
    return cache


def staging_cache() -> Any:
    """Return MSAL's token cache for one sign-in. Nothing is stored until its `event` is added to the stored cache."""
    return type("StagingTokenCache", (_Staged, load_msal().TokenCache), {})()


def _register_tokens(answer: object) -> None:
    if isinstance(answer, Mapping):
        for name in _TOKEN_FIELDS:
            if isinstance(token := answer.get(name), str):
                register_secret(token)


def _register_stored(tokens: Tokens) -> None:
    for entries in tokens.values():
        for entry in entries.values():
            if isinstance(secret := entry.get("secret"), str):
                register_secret(secret)


def _is_sound(tokens: object) -> bool:
    return isinstance(tokens, dict) and all(
        isinstance(entries, dict) and all(isinstance(entry, dict) for entry in entries.values())
        for entries in tokens.values()
    )
