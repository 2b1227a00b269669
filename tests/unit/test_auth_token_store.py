"""The token cache: complete or absent, private, shared by processes, and free of tokens that must go."""

from __future__ import annotations

import json
import os
import random
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from runtui.auth import token_store
from runtui.auth.errors import SignInError
from runtui.auth.token_store import FileTokenStore, MemoryTokenStore, cache_path, staging_cache, stored_cache
from runtui.private_files import replace_private
from runtui.redact import REDACTED, redact


def signed_in(name: str, *, size: int = 40) -> dict[str, Any]:
    """Return the event that MSAL adds to its cache after a sign-in."""
    import base64

    info = base64.urlsafe_b64encode(json.dumps({"uid": name, "utid": "tenant"}).encode()).decode()
    claims = base64.urlsafe_b64encode(json.dumps({"sub": name, "preferred_username": name}).encode()).decode()
    return {
        "client_id": "client",
        "scope": ["scope"],
        "token_endpoint": "https://login.fake.test/tenant/oauth2/v2.0/token",
        "environment": "login.fake.test",
        "grant_type": "device_code",
        "response": {
            "access_token": f"access-{name}-" + "a" * size,
            "refresh_token": f"refresh-{name}-" + "r" * size,
            "id_token": f"e30.{claims}.",
            "client_info": info,
            "expires_in": 3600,
        },
        "data": {},
    }


def usernames(store: FileTokenStore | MemoryTokenStore) -> list[str]:
    return sorted(entry["username"] for entry in store.read().get("Account", {}).values())


@pytest.fixture
def store(tmp_path: Path) -> FileTokenStore:
    return FileTokenStore(tmp_path / "state" / "tokens.json")


def test_the_cache_is_private_and_complete(store: FileTokenStore) -> None:
    stored_cache(store).add(signed_in("ada"))
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700
    tokens = json.loads(store.path.read_text())
    assert {"AccessToken", "RefreshToken", "Account", "IdToken"} <= tokens.keys()
    assert {path.name for path in store.path.parent.iterdir()} == {"tokens.json", "tokens.json.lock"}
    # A sign-in is one write, although MSAL changes five entries for it.
    assert redact("access-ada-" + "a" * 40) == REDACTED
    assert redact("refresh-ada-" + "r" * 40) == REDACTED


def test_a_sign_in_is_one_write(store: FileTokenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[str] = []

    def counted(path: Path, new: Path, text: str) -> None:
        writes.append(text)
        replace_private(path, new, text)

    monkeypatch.setattr(token_store, "replace_private", counted)
    cache = stored_cache(store)
    cache.add(signed_in("ada"))
    assert len(writes) == 1
    cache.add(signed_in("bob"))
    assert len(writes) == 2


def test_a_mode_that_is_too_wide_is_repaired(store: FileTokenStore) -> None:
    stored_cache(store).add(signed_in("ada"))
    store.path.chmod(0o644)
    assert usernames(store) == ["ada"]
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1]", b"null", b'"x"', b'{"Account": []}', b'{"Account": {"x": 1}}', b"\xff", b"[" * 100_000],
)
def test_an_invalid_file_is_set_aside(store: FileTokenStore, content: bytes) -> None:
    store.path.parent.mkdir(mode=0o700)
    for change in (False, True):
        store.path.write_bytes(content)
        if change:
            stored_cache(store).add(signed_in("ada"))
            assert usernames(store) == ["ada"]
        else:
            assert store.read() == {}
            assert not store.path.exists()
        aside = store.path.with_name("tokens.json.corrupt")
        assert aside.read_bytes() == content
        aside.unlink()


def test_a_link_in_its_place_is_refused(store: FileTokenStore, tmp_path: Path) -> None:
    store.path.parent.mkdir(mode=0o700)
    target = tmp_path / "target"
    target.write_text("{}")
    for name in ("tokens.json", "tokens.json.lock"):
        link = store.path.with_name(name)
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        with pytest.raises(SignInError, match="The token cache cannot be used"):
            stored_cache(store).add(signed_in("ada"))
        link.unlink()
    assert target.read_text() == "{}"
    # A link in place of the temporary file is removed, not followed.
    store.path.with_name("tokens.json.tmp").symlink_to(target)
    stored_cache(store).add(signed_in("ada"))
    assert target.read_text() == "{}"


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o720, 0o1777])
def test_a_folder_that_others_may_write_to_is_refused(store: FileTokenStore, mode: int) -> None:
    store.path.parent.mkdir()
    store.path.parent.chmod(mode)
    with pytest.raises(SignInError, match="Others may write"):
        stored_cache(store).add(signed_in("ada"))
    assert not store.path.exists()


def test_a_pipe_or_a_folder_in_its_place_is_refused(store: FileTokenStore) -> None:
    store.path.parent.mkdir(mode=0o700)
    os.mkfifo(store.path, 0o600)
    with pytest.raises(SignInError, match="The token cache cannot be used"):
        store.read()
    store.path.unlink()
    store.path.mkdir()
    with pytest.raises(SignInError, match="The token cache cannot be used"):
        store.read()


def test_files_left_by_a_killed_writer_are_removed(store: FileTokenStore) -> None:
    store.path.parent.mkdir(mode=0o700)
    left = store.path.with_name("tokens.json.tmp")
    left.write_text("half a tok")
    stored_cache(store).add(signed_in("ada"))
    assert not left.exists()
    assert usernames(store) == ["ada"]


def test_another_process_is_heard_of(store: FileTokenStore) -> None:
    here, elsewhere = stored_cache(store), stored_cache(FileTokenStore(store.path))
    before = store.version()
    elsewhere.add(signed_in("ada"))
    assert store.version() != before
    assert [entry["username"] for entry in here.search("Account")] == ["ada"]
    here.add(signed_in("bob"))
    assert usernames(store) == ["ada", "bob"]


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_a_refresh_of_somebody_who_signed_out_is_not_kept(store: FileTokenStore, kind: str) -> None:
    kept = store if kind == "file" else MemoryTokenStore()
    cache = stored_cache(kept)
    cache.add(signed_in("ada"))
    (used,) = cache.search("RefreshToken")
    refreshed = {
        **signed_in("ada", size=50),
        "grant_type": "refresh_token",
        "skip_account_creation": True,
        "data": {"refresh_token": used["secret"]},
    }
    cache.add(refreshed)
    (rotated,) = cache.search("RefreshToken")
    assert rotated["secret"] != used["secret"]
    kept.delete()
    cache.add({**refreshed, "data": {"refresh_token": rotated["secret"]}})
    cache.update_rt(rotated, "refresh-of-nobody")
    assert kept.read() == {}
    assert not store.path.exists()


def test_deleting_leaves_nothing_of_a_token(store: FileTokenStore) -> None:
    stored_cache(store).add(signed_in("ada"))
    store.path.with_name("tokens.json.corrupt").write_text("refresh-ada")
    store.path.with_name("tokens.json.tmp").write_text("refresh-ada")
    store.delete()
    assert [path.name for path in store.path.parent.iterdir()] == ["tokens.json.lock"]
    store.delete()


def test_a_full_disk_is_reported_and_what_was_there_stays(
    store: FileTokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = stored_cache(store)
    cache.add(signed_in("ada"))

    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SignInError, match="No space left"):
        cache.add(signed_in("bob"))
    assert usernames(store) == ["ada"]


def test_one_file_for_each_service_tenant_and_program(tmp_path: Path) -> None:
    keys = [("https://a", "t", "c"), ("https://b", "t", "c"), ("https://a", "u", "c"), ("https://a", "t", "d")]
    assert len({cache_path(tmp_path, *key) for key in keys}) == 4
    assert cache_path(tmp_path, "https://A", "T", "C") == cache_path(tmp_path, *keys[0])


NURSERY = """
import os, sys
from pathlib import Path
from runtui.auth.token_store import FileTokenStore, stored_cache
from tests.unit.test_auth_token_store import signed_in
cache = stored_cache(FileTokenStore(Path(sys.argv[1])))
os.fsync = lambda file: None
start, gate = os.pipe()
children = []
for line in sys.stdin:
    number = int(line)
    child = os.fork()
    if not child:
        os.close(gate)
        if number:  # one of several: all start at once
            os.read(start, 1)
            cache.add(signed_in(f"user{number}"))
            os._exit(0)
        print(os.getpid(), flush=True)
        while True:
            number += 1
            cache.add(signed_in(f"user{number % 50}", size=20_000))
            print("wrote", flush=True)
    if number:
        children.append(child)
        continue
    os.waitpid(child, 0)
    print("gone", flush=True)
os.close(gate)
sys.exit(any(os.waitpid(child, 0)[1] for child in children))
"""
"""Forks writers, so that MSAL is imported once for all of them. Each line of input starts a writer; 0 makes one that
prints its pid and writes forever. None waits for the disk: what a killed process wrote is in the file anyway, and
otherwise most kills would hit that wait."""


def nursery(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", NURSERY, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_tokens_of_eight_concurrent_processes_are_all_kept(store: FileTokenStore) -> None:
    numbers = range(1, 9)
    with nursery(store.path) as process:
        process.communicate("".join(f"{number}\n" for number in numbers))
        assert process.returncode == 0
    assert usernames(store) == [f"user{number}" for number in numbers]


def kill_while_writing(path: Path, times: int) -> None:
    chance = random.Random(4)
    with nursery(path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(times):
            process.stdin.write("0\n")
            process.stdin.flush()
            writer = int(process.stdout.readline())
            for _ in range(chance.randint(1, 4)):
                process.stdout.readline()
            time.sleep(chance.uniform(0, 0.02))  # without a wait, so that the kill may hit any moment of a write
            os.kill(writer, signal.SIGKILL)
            while process.stdout.readline() != "gone\n":
                pass
            tokens = json.loads(path.read_text())
            assert tokens["Account"]
            assert FileTokenStore(path).read() == tokens
            assert not path.with_name(path.name + ".corrupt").exists()
    stored_cache(FileTokenStore(path)).add(signed_in("ada"))
    assert not path.with_name(path.name + ".tmp").exists()
    assert "ada" in usernames(FileTokenStore(path))


def test_killed_while_writing_it_is_never_unreadable(store: FileTokenStore) -> None:
    kill_while_writing(store.path, 20)


@pytest.mark.slow
def test_killed_sixty_times_while_writing_it_is_never_unreadable(store: FileTokenStore) -> None:
    kill_while_writing(store.path, 60)


def test_a_staged_sign_in_is_its_last_answer_alone() -> None:
    staging = staging_cache()
    staging.add(signed_in("mallory"))
    last = signed_in("ada")
    staging.add(last)
    assert [entry["username"] for entry in staging.search("Account")] == ["ada"]
    assert staging.event is last


def test_the_private_names_of_msal_that_the_store_relies_on() -> None:
    import msal

    cache = msal.TokenCache()
    assert cache._cache == {}
    with cache._lock, cache._lock:
        cache.add(signed_in("ada"))
    assert {"AccessToken", "RefreshToken", "Account"} <= cache._cache.keys()
    (entry,) = cache.search("RefreshToken")
    assert cache.key_makers["RefreshToken"](**entry) in cache._cache["RefreshToken"]
    for name in ("add", "modify", "update_rt", "search"):
        assert callable(getattr(cache, name))
