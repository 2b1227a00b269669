"""Where tokens are kept between two starts: one file for each sign-in service, tenant and program.

Invariant: the file is there whole or not at all, whoever is killed while writing; it is 0600, in a folder that nobody
else may write to; and of two processes that write at once, neither loses what the other one wrote. A refresh that was
under way while its account signed out is not kept.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

from runtui.auth.words import SignInError
from runtui.private_files import NotPrivateError, create_private, open_private, private_folder
from runtui.redact import register_secret

Tokens: TypeAlias = dict[str, Any]
"""What MSAL keeps: kinds of entries ("AccessToken", "Account", …), each by key."""

_TOKEN_FIELDS: Final = ("access_token", "refresh_token", "id_token")
_LARGEST: Final = 8 * 1024 * 1024
"""Bytes of a file that is still read."""


class CacheError(SignInError):
    """The file cannot be used: a folder others may write to, a link in its place, a full disk."""

    def __init__(self, path: Path, reason: object) -> None:
        what, cure = f"{path}: {reason}.", "Correct that."
        if isinstance(reason, NotPrivateError):
            what, cure = reason.sentence, reason.cure
        memory = 'Or keep tokens in memory alone: token-cache = "memory".'
        super().__init__("The token cache cannot be used", what, f"{cure} {memory}")


class Keep(Protocol):
    """Where tokens are kept."""

    def read(self) -> Tokens:
        """What is kept; empty when nothing is."""

    @contextmanager
    def changing(self) -> Iterator[Tokens]:
        """What is kept, to be changed; written at the end, unless the block fails. Nobody else writes meanwhile."""

    def mark(self) -> object:
        """Something that differs once somebody wrote."""

    def delete(self) -> None:
        """Forget everything."""


class MemoryKeep:
    """Tokens that end with the process."""

    def __init__(self) -> None:
        self._tokens = "{}"
        self._writes = 0

    def read(self) -> Tokens:
        """A copy of what is kept."""
        tokens: Tokens = json.loads(self._tokens)
        return tokens

    @contextmanager
    def changing(self) -> Iterator[Tokens]:
        """What is kept, to be changed; MSAL's own lock keeps others out."""
        tokens = self.read()
        yield tokens
        self._tokens, self._writes = json.dumps(tokens), self._writes + 1

    def mark(self) -> object:
        """How often it was written."""
        return self._writes

    def delete(self) -> None:
        """Forget everything."""
        self._tokens, self._writes = "{}", self._writes + 1


class FileKeep:
    """Tokens in a file. Its methods read and write at once: call them in a thread.

    Args:
        path: Of the file; its folder is made when there is none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock_path = path.with_name(path.name + ".lock")
        self._new_path = path.with_name(path.name + ".tmp")

    def read(self) -> Tokens:
        """What is kept; a file that cannot be understood is set aside (`.corrupt`), and then nothing is.

        Raises:
            CacheError: the file or its folder cannot be used.
        """
        try:
            tokens = self._parse()
            if tokens is None:
                with self._locked():
                    tokens = self._parse()
                    if tokens is None:
                        self.path.replace(self.path.with_name(self.path.name + ".corrupt"))
            return tokens or {}
        except OSError as error:
            raise CacheError(self.path, _reason(error)) from error

    @contextmanager
    def changing(self) -> Iterator[Tokens]:
        """What is kept, to be changed; written at the end, unless the block fails. Nobody else writes meanwhile.

        Raises:
            CacheError: the file or its folder cannot be used.
        """
        try:
            with self._locked():
                tokens = self._parse()
                if tokens is None:
                    self.path.replace(self.path.with_name(self.path.name + ".corrupt"))
                    tokens = {}
                before = json.dumps(tokens)
                yield tokens
                if json.dumps(tokens) != before:
                    self._write(tokens)
        except OSError as error:
            raise CacheError(self.path, _reason(error)) from error

    def mark(self) -> object:
        """The identity of the file as it is now; another one after each write, by whatever process."""
        try:
            found = self.path.lstat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def delete(self) -> None:
        """Delete the file, and what was set aside or left over.

        Raises:
            CacheError: it cannot be deleted.
        """
        try:
            with self._locked():
                self.path.unlink(missing_ok=True)
                self.path.with_name(self.path.name + ".corrupt").unlink(missing_ok=True)
        except OSError as error:
            raise CacheError(self.path, _reason(error)) from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        private_folder(self.path.parent)
        # The kernel's lock ends with its process; the file of tokens itself is replaced, so it cannot carry one.
        lock = open_private(self._lock_path, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Whoever left one behind was killed: its writer held the lock.
            self._new_path.unlink(missing_ok=True)
            yield
        finally:
            os.close(lock)

    def _parse(self) -> Tokens | None:
        """What is in the file; empty when there is none, None when it is not what MSAL keeps."""
        if self.mark() is None:
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
        _register_kept(tokens)
        return tokens  # type: ignore[no-any-return]

    def _write(self, tokens: Tokens) -> None:
        with os.fdopen(create_private(self._new_path), "w", encoding="utf-8") as stream:
            json.dump(tokens, stream)
            stream.flush()
            os.fsync(stream.fileno())
        self._new_path.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def cache_path(folder: Path, authority: str, tenant_id: str, client_id: str) -> Path:
    """The file of one sign-in service, tenant and program; shared with no other tool."""
    key = "\n".join((authority, tenant_id, client_id)).lower()
    return folder / f"tokens-{sha256(key.encode()).hexdigest()[:16]}.json"


class _Kept:
    """What makes MSAL's token cache one that is kept: it reads before each search; a change, however many entries it
    touches, is one write."""

    keep: Keep
    _cache: Tokens
    _lock: threading.RLock
    _is_changing = False

    def add(self, event: Mapping[str, Any], **options: Any) -> None:
        register_tokens(event.get("response"))
        with self._changing():
            # A refresh. Its refresh token is gone when the account signed out, here or in another process.
            if event.get("skip_account_creation") and not self._has_refresh_token(event):
                return
            super().add(event, **options)  # type: ignore[misc]

    def modify(self, *entry: Any, **options: Any) -> None:
        with self._changing():
            super().modify(*entry, **options)  # type: ignore[misc]

    def update_rt(self, rt_item: Mapping[str, Any], new_rt: str) -> None:
        # MSAL says so after each refresh, besides `add`; what is gone is not brought back.
        with self._changing():
            if self.key_makers["RefreshToken"](**rt_item) in self._cache.get("RefreshToken", {}):  # type: ignore[attr-defined]
                super().update_rt(rt_item, new_rt)  # type: ignore[misc]

    def search(self, *query: Any, **options: Any) -> Iterator[Any]:
        with self._lock:
            if not self._is_changing:
                self._cache = self.keep.read()
        found: Iterator[Any] = super().search(*query, **options)  # type: ignore[misc]
        return found

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._lock:
            if self._is_changing:
                yield
                return
            with self.keep.changing() as self._cache:
                self._is_changing = True
                try:
                    yield
                finally:
                    self._is_changing = False

    def _has_refresh_token(self, event: Mapping[str, Any]) -> bool:
        used = event.get("data", {}).get("refresh_token")
        return any(entry.get("secret") == used for entry in self._cache.get("RefreshToken", {}).values())


class _Staged:
    """What makes MSAL's token cache one for a single sign-in: it holds the last answer alone, and remembers it as
    `event`. An answer that MSAL added, stumbled over and asked for again is worth nothing."""

    _cache: Tokens
    _lock: threading.RLock

    def __init__(self) -> None:
        super().__init__()
        self.event: Mapping[str, Any] | None = None

    def add(self, event: Mapping[str, Any], **options: Any) -> None:
        register_tokens(event.get("response"))
        with self._lock:
            self.event = event
            self._cache.clear()
            super().add(event, **options)  # type: ignore[misc]


def msal_cache(keep: Keep) -> Any:
    """MSAL's token cache on top of `keep`. Imports MSAL: call it in a thread."""
    import msal

    class KeptTokenCache(_Kept, msal.TokenCache):  # type: ignore[misc]
        pass

    cache = KeptTokenCache()
    cache.keep = keep
    return cache


def staging_cache() -> Any:
    """MSAL's token cache for one sign-in: nothing in it is kept until its `event` is added to the kept one."""
    import msal

    class StagingTokenCache(_Staged, msal.TokenCache):  # type: ignore[misc]
        pass

    return StagingTokenCache()


def register_tokens(answer: object) -> None:
    """From now on the tokens in an answer of the sign-in service are scrubbed from everything that is shown."""
    if isinstance(answer, Mapping):
        for name in _TOKEN_FIELDS:
            if isinstance(token := answer.get(name), str):
                register_secret(token)


def _register_kept(tokens: Tokens) -> None:
    """The same for tokens that an earlier start kept."""
    for entries in tokens.values():
        for entry in entries.values():
            if isinstance(secret := entry.get("secret"), str):
                register_secret(secret)


def _reason(error: OSError) -> object:
    return error if isinstance(error, NotPrivateError) else error.strerror or error


def _is_sound(tokens: object) -> bool:
    return isinstance(tokens, dict) and all(
        isinstance(entries, dict) and all(isinstance(entry, dict) for entry in entries.values())
        for entries in tokens.values()
    )
