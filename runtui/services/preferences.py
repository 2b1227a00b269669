"""A person's choices on the screen, stored per profile for the next start: the list, its views, and the theme.

Invariant: a choice never waits for the disk or fails because of it. A thread replaces the file with the latest choices
as a whole. A damaged file is set aside, and `fault` says so. If two programs use one profile, the last choice wins.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from runtui.announcer import Announcer
from runtui.domain.rows import RUN_COLUMN_BY_KEY, storable
from runtui.domain.views import BUILT_IN_VIEWS, MAX_VIEWS, ListSettings, View
from runtui.errors import RuntuiError
from runtui.private_files import explanation, open_private, private_folder, replace_private

MAX_FILE_BYTES: Final = 64 * 1024
"""The largest file that is read; nine views need far less."""

MAX_FILTERS: Final = 20
LONGEST_FILTER: Final = 200
"""The most earlier filters, and the longest one, that are stored, so that the file stays below MAX_FILE_BYTES."""

QUIET_SECONDS: Final = 0.3
"""How long a write waits for further choices, because a filter is typed letter by letter."""


class StoredPreferences(NamedTuple):
    """The stored choices."""

    runs: ListSettings = ListSettings()
    views: tuple[View, ...] = ()
    """The person's own views."""
    theme: str = ""
    """The name of the theme; empty for the terminal's colours."""
    filters: tuple[str, ...] = ()
    """Earlier filters of the list, the latest last."""
    columns: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    """The keys of the chosen columns of all other lists, by the name of the list."""

    def with_filters(self, filters: Sequence[str]) -> StoredPreferences:
        """Return the choices with these earlier filters, within their bounds."""
        short = [text for text in filters if len(text) <= LONGEST_FILTER]
        return self._replace(filters=tuple(short[-MAX_FILTERS:]))


class Preferences:
    """The choices of one profile; without a profile, of one Graph root ("" for a demo). They are read at once."""

    def __init__(self, folder: Path, profile: str, root: str) -> None:
        self._path = preferences_path(folder, profile, root)
        self.fault: RuntuiError | None = None
        """Why the file could not be read or written; None if it could."""
        self.failed: Announcer[RuntuiError] = Announcer()
        """Announces, in the writer's thread, the first failure to write after a success."""
        self._writer: ThreadPoolExecutor | None = None
        self._is_due = False
        self._turn = threading.Lock()
        self._closing = threading.Event()
        self.kept = self._read()

    def keep(self, **choices: Any) -> None:
        """Change fields of `StoredPreferences`, and write them in the background if any value is new."""
        kept = self.kept._replace(**choices)
        with self._turn:
            if kept == self.kept or self._closing.is_set():
                return
            self.kept = kept
            if self._is_due:
                return
            self._is_due = True
        if self._writer is None:
            self._writer = ThreadPoolExecutor(1, "preferences")
        self._writer.submit(self._write)

    def close(self) -> None:
        with self._turn:
            self._closing.set()
        if self._writer is not None:
            self._writer.shutdown()

    def _read(self) -> StoredPreferences:
        try:
            with os.fdopen(open_private(self._path), "rb") as stream:
                text = stream.read(MAX_FILE_BYTES + 1)
            if len(text) > MAX_FILE_BYTES:
                raise ValueError("it is too long")
            return _kept_from(json.loads(text))
        except FileNotFoundError:
            return StoredPreferences()
        except OSError as error:
            self.fault = _fault("cannot be read", self._path, error)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            aside = self._path.with_name(self._path.name + ".aside")
            with suppress(OSError):
                self._path.replace(aside)
            words = f"{self._path.name} was damaged; it is set aside as {aside.name}, and the list has its defaults."
            self.fault = RuntuiError("The kept filter, order and views are lost", words)
        return StoredPreferences()

    def _write(self) -> None:
        self._closing.wait(QUIET_SECONDS)
        with self._turn:
            self._is_due = False
            kept = self.kept
        new = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        try:
            private_folder(self._path.parent)
            new.unlink(missing_ok=True)
            replace_private(self._path, new, json.dumps(_object_of(kept), indent=1) + "\n")
        except OSError as error:
            is_news = self.fault is None
            self.fault = _fault("cannot be kept", self._path, error)
            if is_news:
                self.failed.announce(self.fault)
        else:
            self.fault = None


def preferences_path(folder: Path, profile: str, root: str) -> Path:
    """Return the file of a profile, or without a profile that of the root."""
    of = f"profile {profile}" if profile else f"root {root}"
    return folder / f"screen-{sha256(of.encode()).hexdigest()[:16]}.json"


def _fault(what: str, path: Path, error: OSError) -> RuntuiError:
    return RuntuiError(f"Filter, order and views {what}", *explanation(path, error))


def _object_of(kept: StoredPreferences) -> dict[str, Any]:
    return {
        "theme": kept.theme,
        "filters": kept.filters,
        "columns": dict(kept.columns),
        "runs": kept.runs._asdict(),
        "views": [{"name": view.name, **view.settings._asdict()} for view in kept.views],
    }


def _kept_from(found: Mapping[str, Any]) -> StoredPreferences:
    """Convert the content of a file; raise a ValueError, TypeError, KeyError or AttributeError if it is malformed.

    An unknown column is left out.
    """
    views = [View(_text(view["name"]), _settings_from(view)) for view in found["views"]]
    kept = StoredPreferences(
        _settings_from(found["runs"]), tuple(views[: MAX_VIEWS - len(BUILT_IN_VIEWS)]), _text(found["theme"])
    )
    of_lists = found.get("columns", {}).items()
    kept = kept._replace(columns={_text(name): tuple(map(_text, keys)) for name, keys in of_lists})
    return kept.with_filters([_text(text) for text in found.get("filters", ())])


def _settings_from(found: Mapping[str, Any]) -> ListSettings:
    first = ListSettings()
    sort, columns = _text(found["sort"]), tuple(map(_text, found["columns"]))
    is_known = sort in RUN_COLUMN_BY_KEY
    return ListSettings(
        _text(found["filter"]),
        sort if is_known else first.sort,
        bool(found["descending"]) if is_known else first.descending,
        tuple(dict.fromkeys(key for key in columns if key in RUN_COLUMN_BY_KEY)),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return storable(value)
