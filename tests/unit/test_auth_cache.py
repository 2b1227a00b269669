"""The token cache: whole or not there, private, shared by processes, and forgetful where it has to be."""

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

from runtui.auth.cache import CacheError, FileKeep, MemoryKeep, cache_path, msal_cache, staging_cache
from runtui.redact import MARK, redact


def signed_in(name: str, *, size: int = 40) -> dict[str, Any]:
    """What MSAL adds for a sign-in."""
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


def usernames(keep: FileKeep | MemoryKeep) -> list[str]:
    return sorted(entry["username"] for entry in keep.read().get("Account", {}).values())


@pytest.fixture
def keep(tmp_path: Path) -> FileKeep:
    return FileKeep(tmp_path / "state" / "tokens.json")


def test_it_is_private_and_whole(keep: FileKeep) -> None:
    msal_cache(keep).add(signed_in("ada"))
    assert stat.S_IMODE(keep.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(keep.path.parent.stat().st_mode) == 0o700
    tokens = json.loads(keep.path.read_text())
    assert {"AccessToken", "RefreshToken", "Account", "IdToken"} <= tokens.keys()
    assert {path.name for path in keep.path.parent.iterdir()} == {"tokens.json", "tokens.json.lock"}
    # A sign-in is one write, although MSAL changes five entries for it.
    assert redact("access-ada-" + "a" * 40) == MARK
    assert redact("refresh-ada-" + "r" * 40) == MARK


def test_a_sign_in_is_one_write(keep: FileKeep, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[object] = []
    real = FileKeep._write

    def counted(self: FileKeep, tokens: dict[str, Any]) -> None:
        writes.append(tokens)
        real(self, tokens)

    monkeypatch.setattr(FileKeep, "_write", counted)
    cache = msal_cache(keep)
    cache.add(signed_in("ada"))
    assert len(writes) == 1
    cache.add(signed_in("bob"))
    assert len(writes) == 2


def test_a_mode_that_is_too_wide_is_repaired(keep: FileKeep) -> None:
    msal_cache(keep).add(signed_in("ada"))
    keep.path.chmod(0o644)
    assert usernames(keep) == ["ada"]
    assert stat.S_IMODE(keep.path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1]", b"null", b'"x"', b'{"Account": []}', b'{"Account": {"x": 1}}', b"\xff", b"[" * 100_000],
)
def test_a_file_that_makes_no_sense_is_set_aside(keep: FileKeep, content: bytes) -> None:
    keep.path.parent.mkdir(mode=0o700)
    for change in (False, True):
        keep.path.write_bytes(content)
        if change:
            msal_cache(keep).add(signed_in("ada"))
            assert usernames(keep) == ["ada"]
        else:
            assert keep.read() == {}
            assert not keep.path.exists()
        aside = keep.path.with_name("tokens.json.corrupt")
        assert aside.read_bytes() == content
        aside.unlink()


def test_a_link_in_its_place_is_refused(keep: FileKeep, tmp_path: Path) -> None:
    keep.path.parent.mkdir(mode=0o700)
    target = tmp_path / "target"
    target.write_text("{}")
    for name in ("tokens.json", "tokens.json.lock"):
        link = keep.path.with_name(name)
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        with pytest.raises(CacheError):
            msal_cache(keep).add(signed_in("ada"))
        link.unlink()
    assert target.read_text() == "{}"
    # One in the place of the temporary file is swept away, not followed.
    keep.path.with_name("tokens.json.tmp").symlink_to(target)
    msal_cache(keep).add(signed_in("ada"))
    assert target.read_text() == "{}"


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o720, 0o1777])
def test_a_folder_that_others_may_write_to_is_refused(keep: FileKeep, mode: int) -> None:
    keep.path.parent.mkdir()
    keep.path.parent.chmod(mode)
    with pytest.raises(CacheError, match="Others may write"):
        msal_cache(keep).add(signed_in("ada"))
    assert not keep.path.exists()


def test_a_pipe_or_a_folder_in_its_place_is_refused(keep: FileKeep) -> None:
    keep.path.parent.mkdir(mode=0o700)
    os.mkfifo(keep.path, 0o600)
    with pytest.raises(CacheError):
        keep.read()
    keep.path.unlink()
    keep.path.mkdir()
    with pytest.raises(CacheError):
        keep.read()


def test_what_a_killed_writer_left_is_swept_away(keep: FileKeep) -> None:
    keep.path.parent.mkdir(mode=0o700)
    left = keep.path.with_name("tokens.json.tmp")
    left.write_text("half a tok")
    msal_cache(keep).add(signed_in("ada"))
    assert not left.exists()
    assert usernames(keep) == ["ada"]


def test_another_process_is_heard_of(keep: FileKeep) -> None:
    here, elsewhere = msal_cache(keep), msal_cache(FileKeep(keep.path))
    before = keep.mark()
    elsewhere.add(signed_in("ada"))
    assert keep.mark() != before
    assert [entry["username"] for entry in here.search("Account")] == ["ada"]
    here.add(signed_in("bob"))
    assert usernames(keep) == ["ada", "bob"]


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_a_refresh_of_somebody_who_signed_out_is_not_kept(keep: FileKeep, kind: str) -> None:
    kept = keep if kind == "file" else MemoryKeep()
    cache = msal_cache(kept)
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
    assert not keep.path.exists()


def test_deleting_leaves_nothing_of_a_token(keep: FileKeep) -> None:
    msal_cache(keep).add(signed_in("ada"))
    keep.path.with_name("tokens.json.corrupt").write_text("refresh-ada")
    keep.path.with_name("tokens.json.tmp").write_text("refresh-ada")
    keep.delete()
    assert [path.name for path in keep.path.parent.iterdir()] == ["tokens.json.lock"]
    keep.delete()


def test_a_full_disk_is_told_and_what_was_there_stays(keep: FileKeep, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = msal_cache(keep)
    cache.add(signed_in("ada"))

    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CacheError, match="No space left"):
        cache.add(signed_in("bob"))
    assert usernames(keep) == ["ada"]


def test_one_file_for_each_service_tenant_and_program(tmp_path: Path) -> None:
    keys = [("https://a", "t", "c"), ("https://b", "t", "c"), ("https://a", "u", "c"), ("https://a", "t", "d")]
    assert len({cache_path(tmp_path, *key) for key in keys}) == 4
    assert cache_path(tmp_path, "https://A", "T", "C") == cache_path(tmp_path, *keys[0])


WRITER = """
import sys
from pathlib import Path
from runtui.auth.cache import FileKeep, msal_cache
from tests.unit.test_auth_cache import signed_in
cache = msal_cache(FileKeep(Path(sys.argv[1])))
print("ready", flush=True)
sys.stdin.readline()
names = [sys.argv[2]] if sys.argv[2] != "forever" else (f"user{n % 50}" for n in range(10**9))
for name in names:
    cache.add(signed_in(name, size=20_000 if sys.argv[2] == "forever" else 40))
    print("wrote", flush=True)
"""


def writer(path: Path, name: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), name]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_of_eight_processes_at_once_all_are_kept(keep: FileKeep) -> None:
    processes = [writer(keep.path, f"user{number}") for number in range(8)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    assert usernames(keep) == [f"user{number}" for number in range(8)]


def kill_while_writing(path: Path, times: int) -> None:
    chance = random.Random(4)
    for _ in range(times):
        with writer(path, "forever") as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("go\n")
            process.stdin.flush()
            for _ in range(chance.randint(1, 4)):
                process.stdout.readline()
            time.sleep(chance.uniform(0, 0.02))  # no wait for anything: a moment anywhere within a write
            process.send_signal(signal.SIGKILL)
        tokens = json.loads(path.read_text())
        assert tokens["Account"]
        assert FileKeep(path).read() == tokens
        assert not path.with_name(path.name + ".corrupt").exists()
    msal_cache(FileKeep(path)).add(signed_in("ada"))
    assert not path.with_name(path.name + ".tmp").exists()
    assert "ada" in usernames(FileKeep(path))


def test_killed_while_writing_it_is_never_unreadable(keep: FileKeep) -> None:
    kill_while_writing(keep.path, 8)


@pytest.mark.slow
def test_killed_sixty_times_while_writing_it_is_never_unreadable(keep: FileKeep) -> None:
    kill_while_writing(keep.path, 60)


def test_a_staged_sign_in_is_its_last_answer_alone() -> None:
    staging = staging_cache()
    staging.add(signed_in("mallory"))
    last = signed_in("ada")
    staging.add(last)
    assert [entry["username"] for entry in staging.search("Account")] == ["ada"]
    assert staging.event is last
