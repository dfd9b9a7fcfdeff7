# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for what NetworkManager brings up by itself; how it answers is played by a program, since none runs here.

The Molecule scenario bond_vlan_bridge has a real one.
"""

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError
from ansible_collections.hostcraft.linux.plugins.module_utils._network import networkmanager
from ansible_collections.hostcraft.linux.plugins.module_utils._network.model import Activate

# Answers each question with the next line of "answers", the last one again and again, and notes what brings up.
PROGRAM = """#!/bin/sh
case " $* " in
    *" --active "*)
        echo asked >> {0}/questions
        sed -n 1p {0}/answers | tr ' ' '\\n'
        [ "$(wc -l < {0}/answers)" -le 1 ] || sed -i 1d {0}/answers ;;
    *) echo "$*" >> {0}/commands; exit $(cat {0}/status 2>/dev/null || echo 0) ;;
esac
"""
UP = ["nmcli", "connection", "up", "uuid"]


@pytest.fixture
def manager(tmp_path, monkeypatch):
    program = tmp_path / "nmcli"
    program.write_text(PROGRAM.format(tmp_path))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(networkmanager, "PATIENCE", 0.2)
    monkeypatch.setattr(networkmanager, "PAUSE", 0.01)
    monkeypatch.setattr(networkmanager, "NOTES", str(tmp_path))
    return tmp_path


def activate(uuid, known, coming=("a", "b")):
    networkmanager.activate(Activate(uuid, [*UP, uuid], coming), known)


def commands(manager):
    path = manager / "commands"
    return path.read_text().splitlines() if path.exists() else []


def test_what_comes_up_by_itself_is_waited_for_and_all_that_was_seen_is_remembered(manager):
    (manager / "answers").write_text("a:activating b:activated\na:activated b:activated c:activating\n")
    known = set()
    activate("a", known)
    assert (commands(manager), known) == ([], {"a", "b"})
    (manager / "answers").write_text("\n")
    activate("b", known)
    assert commands(manager) == []


def test_what_comes_up_slowly_is_not_begun_anew(manager, monkeypatch):
    monkeypatch.setattr(networkmanager, "PATIENCE", 0.0)
    (manager / "answers").write_text("a:activating\n" * 5 + "a:activated\n")
    activate("a", set())
    assert commands(manager) == []


def test_what_does_not_begin_is_brought_up(manager):
    (manager / "answers").write_text("b:activated\n")
    activate("a", set())
    assert commands(manager) == ["connection up uuid a"]


def test_what_does_not_end_is_brought_up_and_its_failure_told(manager, monkeypatch):
    monkeypatch.setattr(networkmanager, "ACTIVATION", 0.1)
    (manager / "answers").write_text("a:activating\n")
    (manager / "status").write_text("4\n")
    with pytest.raises(ReconcileError, match="exit status 4"):
        activate("a", set())
    assert commands(manager) == ["connection up uuid a"]


def test_nothing_is_asked_when_all_is_noted(manager, monkeypatch):
    """Links are those of this machine; the loopback, which every one has, stands for one that was given a profile."""
    monkeypatch.setattr(networkmanager, "PATIENCE", 60.0)
    (manager / "1").write_text("[device]\nmanaged=true\nconnection-uuid=a\n")
    known = set()
    activate("a", known, coming=("a",))
    assert (commands(manager), known) == ([], {"a"})
    assert not (manager / "questions").exists()


def test_what_is_noted_in_part_is_asked_for(manager):
    (manager / "answers").write_text("a:activated b:activated\n")
    (manager / "1").write_text("[device]\nconnection-uuid=a\n")
    known = set()
    activate("a", known)
    activate("b", known)
    assert (manager / "questions").read_text() == "asked\n"
    assert (commands(manager), known) == ([], {"a", "b"})
