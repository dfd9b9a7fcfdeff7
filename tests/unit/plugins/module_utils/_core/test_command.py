# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands, with the real ones of the machine."""

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._core.command import prints, run
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError


def test_output_comes_back_and_standard_input_goes_in():
    assert run(["cat"], stdin="a\nb\n") == "a\nb\n"


def test_arguments_are_not_read_by_a_shell():
    assert run(["printf", "%s", "$HOME; `id`"]) == "$HOME; `id`"


def test_the_locale_is_c(monkeypatch):
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert "LC_ALL=C\n" in run(["env"])


def test_a_failure_tells_command_status_and_reason():
    with pytest.raises(ReconcileError) as error:
        run(["ls", "/no/such/thing"])
    assert "'ls /no/such/thing' failed with exit status 2" in str(error.value)
    assert "No such file" in str(error.value)
    assert error.value.details["rc"] == 2
    assert run(["false"], ok=(0, 1)) == ""


@pytest.mark.parametrize(
    ("argv", "expected"),
    [("echo yes", True), ("echo", False), ("ls /no/such/thing", False), ("no-such-program", False)],
)
def test_whether_a_command_prints_something(argv, expected):
    assert prints(argv.split()) is expected


def test_a_missing_program_is_named():
    with pytest.raises(ReconcileError) as error:
        run(["no-such-program", "x"])
    assert "Cannot run 'no-such-program'" in str(error.value)


def test_what_takes_too_long_is_killed_with_its_children():
    with pytest.raises(ReconcileError) as error:
        run(["sh", "-c", "sleep 60 & wait"], timeout=0.2)
    assert "did not end within 0.2 s and was killed" in str(error.value)


def test_variables_and_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("GONE", "1")
    said = run(["sh", "-c", "pwd; echo $MORE; echo ${GONE-unset}"], env={"MORE": "x", "GONE": None}, cwd=str(tmp_path))
    assert said == f"{tmp_path}\nx\nunset\n"
    with pytest.raises(ReconcileError) as error:
        run(["true"], cwd=str(tmp_path / "missing"))
    assert f"Cannot run 'true' in {tmp_path}/missing" in str(error.value)


def test_bytes_and_line_ends_survive():
    assert run(["cat"], stdin="a\r\n\udcff\n") == "a\r\n\udcff\n"


def test_what_is_said_on_standard_error_is_kept():
    said = []
    assert run(["sh", "-c", "echo out; echo careful >&2"], log=said) == "out\n"
    assert said == ["careful\n"]


def test_a_conversation():
    def talk(write, read):
        answers = []
        for line in (b"one\n", b"two\n"):
            write.write(line)
            write.flush()
            answers.append(read.readline())
        return answers

    said = []
    script = 'read a; echo "1 $a"; read b; echo "2 $b" ; echo done >&2; cat'
    assert run(["sh", "-c", script], talk=talk, log=said) == [b"1 one\n", b"2 two\n"]
    assert said == ["done\n"]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo no >&2; exit 3", "failed with exit status 3: no"),
        ("exec sleep 60", "did not end within 0.3 s and was killed"),
    ],
)
def test_a_conversation_that_comes_to_nothing(script, message):
    def talk(write, read):
        for _number in range(100):
            write.write(b"x" * 4096)
        write.flush()
        return read.read()

    with pytest.raises(ReconcileError) as error:
        run(["sh", "-c", script], timeout=0.3, talk=talk)
    assert message in str(error.value)


def test_a_conversation_in_which_we_fail():
    def talk(_write, _read):
        raise ValueError("ours")

    with pytest.raises(ValueError, match="ours"):
        run(["sleep", "60"], talk=talk)
