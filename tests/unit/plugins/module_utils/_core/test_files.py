# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files are the old or the new one; on real file systems, a full one included."""

import os
import stat

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._core import files
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError


def tree(path):
    return sorted(
        os.path.relpath(os.path.join(top, name), str(path)) for top, _d, names in os.walk(str(path)) for name in names
    )


def test_a_new_file_comes_with_its_directories_and_goes_with_them(tmp_path):
    path = str(tmp_path / "a" / "b" / "c.conf")
    before = files.write(path, "x\n")
    assert files.read(path) == "x\n"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o644
    files.restore(before)
    assert os.listdir(str(tmp_path)) == []


def test_an_existing_file_keeps_its_mode_and_owner_and_is_put_back_byte_for_byte(tmp_path):
    path = tmp_path / "old"
    path.write_bytes(b"\xff\r\n no newline")
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(str(path), 1, 2)
    owner = (path.stat().st_uid, path.stat().st_gid)
    before = files.write(str(path), files.read(str(path)) + "!")
    assert path.read_bytes() == b"\xff\r\n no newline!"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert (path.stat().st_uid, path.stat().st_gid) == owner
    files.restore(before)
    assert path.read_bytes() == b"\xff\r\n no newline"
    removed = files.remove(str(path))
    assert files.read(str(path)) is None
    files.restore(removed)
    assert path.read_bytes() == b"\xff\r\n no newline"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert (path.stat().st_uid, path.stat().st_gid) == owner
    assert tree(tmp_path) == ["old"]


def test_extended_attributes_are_kept(tmp_path):
    path = tmp_path / "labelled"
    path.write_text("x")
    try:
        os.setxattr(str(path), "user.label", b"l1")
    except OSError as error:
        pytest.skip(f"this file system has no extended attributes: {error}")
    files.write(str(path), "y")
    assert os.getxattr(str(path), "user.label") == b"l1"


def test_a_link_is_followed(tmp_path):
    (tmp_path / "real").write_text("x")
    (tmp_path / "link").symlink_to("real")
    files.write(str(tmp_path / "link"), "y")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "y"


def test_removing_prunes_an_empty_directory_only_when_asked(tmp_path):
    for prune in (False, True):
        path = str(tmp_path / "d" / "f")
        files.write(path, "x")
        files.remove(path, prune)
        assert (tmp_path / "d").exists() is not prune


def test_a_failure_while_writing_leaves_the_old_file_and_no_debris(tmp_path, monkeypatch):
    path = tmp_path / "f"
    path.write_text("old")

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ReconcileError) as error:
        files.write(str(path), "new")
    assert str(error.value) == f"Cannot write {path}: No space left on device"
    assert path.read_text() == "old"
    assert tree(tmp_path) == ["f"]


def test_an_unreadable_path_is_named(tmp_path):
    with pytest.raises(ReconcileError) as error:
        files.read(str(tmp_path))
    assert str(tmp_path) in str(error.value)


@pytest.mark.parametrize("call", ["write", "fchown", "fchmod", "fsync", "rename"])
def test_killed_at_any_moment_the_file_is_the_old_one_and_the_next_run_succeeds(tmp_path, call):
    path = tmp_path / "f"
    path.write_text("old")
    child = os.fork()
    if child == 0:
        target = files.os if call != "write" else files.tempfile
        name = call if call != "write" else "mkstemp"
        setattr(target, name, lambda *_a, **_k: os.kill(os.getpid(), 9))
        files.write(str(path), "new")
        os._exit(0)
    _pid, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == 9
    assert path.read_text() == "old"
    files.write(str(path), "new")
    assert path.read_text() == "new"
