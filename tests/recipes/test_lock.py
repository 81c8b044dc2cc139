"""Two runs on one directory: the second is refused, and a lock without an owner is taken over."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from secateurs import SecateursError
from secateurs.recipes import RunOptions, run
from secateurs.recipes._lock import LOCK_FILE, _Owner, locked, unlock_elsewhere
from tests.recipes._studies import TRAIN, recipe

HOLD = """
import sys, time
from pathlib import Path
from secateurs.recipes._lock import locked
with locked(Path(sys.argv[1]), print):
    print("held", flush=True)
    time.sleep(60)
"""


def holder(folder: Path) -> "subprocess.Popen[str]":
    """Another process that has the folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_second_is_told_who_the_first_is_and_a_kill_frees_the_directory(tmp_path: Path) -> None:
    process, told = holder(tmp_path), list[str]()
    owner = f"process {process.pid} on {socket.gethostname()}"
    with pytest.raises(SecateursError, match=f"a directory that no other run has, got one of {owner}"):
        run(recipe(TRAIN), tmp_path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (tmp_path / LOCK_FILE).exists()
    with locked(tmp_path, told.append):
        pass
    assert told == [f"taking over {tmp_path} from {owner}, which ended without giving it back"]
    assert list(tmp_path.iterdir()) == []


def test_one_process_has_a_directory_once(tmp_path: Path) -> None:
    with locked(tmp_path, print):
        with pytest.raises(SecateursError, match=f"process {os.getpid()} on"), locked(tmp_path, print):
            pass
        assert (tmp_path / LOCK_FILE).exists()
    assert list(tmp_path.iterdir()) == []


def test_a_member_of_a_study_is_locked_too(tmp_path: Path) -> None:
    study, seen = recipe({**TRAIN, "epochs": 1}, seeds=[0]), list[bool]()

    def look(line: str) -> None:
        if line.startswith("00-train"):
            seen.extend((folder / LOCK_FILE).exists() for folder in (tmp_path, tmp_path / "base" / "0"))

    run(study, tmp_path, RunOptions(notify=look))
    assert seen == [True, True]
    assert not list(tmp_path.rglob(LOCK_FILE))


def owned_by(folder: Path, **changes: Any) -> None:
    """A lock file that names this process, with changes."""
    here = _Owner.here()
    content = {"pid": here.pid, "host": here.host, "started": here.started, **changes}
    (folder / LOCK_FILE).write_text(json.dumps(content))


def test_another_machine_s_lock_is_refused_with_the_cure(tmp_path: Path) -> None:
    owned_by(tmp_path, host="elsewhere")
    with pytest.raises(SecateursError, match=r"on elsewhere\. If that run has ended, delete .*\.lock\."):
        run(recipe(TRAIN), tmp_path)
    assert (tmp_path / LOCK_FILE).exists()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc to read a process's start from")
def test_a_number_that_another_process_has_now_is_stale(tmp_path: Path) -> None:
    owned_by(tmp_path, started="another boot/12345")
    told: list[str] = []
    with locked(tmp_path, told.append):
        pass
    assert len(told) == 1


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc to read a process's start from")
def test_without_locks_of_the_file_system_a_live_owner_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = holder(tmp_path)
    monkeypatch.setattr("secateurs.recipes._lock._lock", lambda handle: True)
    try:
        with pytest.raises(SecateursError, match=f"process {process.pid} on"), locked(tmp_path, print):
            pass
    finally:
        process.kill()
        process.wait()
    with locked(tmp_path, print):
        pass


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"pid": 1}', "\x00" * 64])
def test_a_lock_that_names_nobody_is_taken(content: str, tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).write_text(content)
    with locked(tmp_path, print):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_forked_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    read, write = os.pipe()
    with locked(tmp_path, print):
        child = os.fork()
        if not child:
            os.close(write)
            os.read(read, 1)  # until the parent has ended its part
            os._exit(0)
    with locked(tmp_path, print):
        assert (tmp_path / LOCK_FILE).exists()
    os.close(write)
    os.waitpid(child, 0)
    os.close(read)


def test_the_lock_of_a_machine_that_is_gone_can_be_deleted_and_no_other(tmp_path: Path) -> None:
    file = tmp_path / LOCK_FILE
    file.write_text(json.dumps({"pid": 1, "host": "another", "started": ""}))
    assert unlock_elsewhere(tmp_path)
    assert not file.exists()
    assert not unlock_elsewhere(tmp_path)
    with locked(tmp_path, print):
        assert not unlock_elsewhere(tmp_path)
        assert file.exists()
