"""What the command at the server does, and what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from asyncamanda.core.model import Outcome

if TYPE_CHECKING:
    from tests.system.conftest import Rig


def test_a_backup_by_the_classic_form(rig: Rig) -> None:
    """It connects, runs the command, sees the disk move, and says so; then nothing is due."""
    done = rig.wait(rig.classic("dump /home; mark"))
    assert (done.exit, rig.marks()) == (0, 1)
    assert done.stdout.startswith("backed up in ")
    assert "/home (level 0)" in done.stdout
    assert "connected to backup@amanda; running dump /home; mark" in done.stderr
    again = rig.wait(rig.classic("dump /home; mark"))
    assert (again.exit, again.stdout, again.stderr, rig.marks()) == (0, "", "", 1)


def test_a_backup_by_a_configuration_file(rig: Rig) -> None:
    """The same, with a client.toml of any name and JSON for an answer."""
    path = rig.configure("/srv/away.toml", command="dump /home /etc", disks=["/home", "/etc"])
    done = rig.run("run", "--config", path, "--json")
    assert done.exit == 0
    assert done.json["outcome"] == "backed up"
    assert {dump["disk"] for dump in done.json["dumps"]} == {"/home", "/etc"}
    again = rig.run("run", "--config", path, "--json")
    assert (again.exit, again.json["outcome"]) == (0, "not due")


def test_what_the_command_prints_is_told_without_control_characters(rig: Rig) -> None:
    """Both of its streams reach the diary, line by line, and nothing that a terminal obeys."""
    done = rig.wait(rig.classic(r"dump /home; printf 'one\n\033[31mtwo\r\nlast' ; echo three >&2"))
    assert done.exit == 0
    assert "the server says: one\n" in done.stderr
    assert "three" in done.stderr
    assert "two\n" in done.stderr
    assert "\x1b" not in done.stderr + done.stdout


def test_whatever_is_printed_steers_no_terminal(rig: Rig) -> None:
    """Also where nobody thought of it: both streams write out what does not print."""
    path = rig.configure("/srv/away.toml", command="dump /home \x1b[31m\u202e\r")
    done = rig.run("run", "--config", path, "--dry-run")
    assert done.exit == 0
    assert done.stdout.endswith("and run: dump /home \\x1b[31m\\u202e\\x0d\n")


def test_the_command_has_an_empty_standard_input(rig: Rig) -> None:
    """A command that reads does not wait for anybody, nor eat what is the agent's."""
    done = rig.wait(rig.classic("cat; dump /home"))
    assert done.exit == 0


@pytest.mark.parametrize(
    ("command", "status", "words"),
    [
        ("dump /home; exit 3", 3, "exit status 3"),
        ("dump /home; no-such-command", 127, "exit status 127: the command was not found"),
        ("dump /home; /etc/passwd", 126, "exit status 126: the command could not be started"),
    ],
)
def test_a_command_that_fails(rig: Rig, command: str, status: int, words: str) -> None:
    """A failed command is not a lost connection."""
    done = rig.wait(rig.classic(command))
    assert done.exit == 100
    assert f"the run failed, {words}" in done.stderr
    assert "hint: " in done.stderr
    (attempt,) = rig.memory().attempts
    assert (attempt.outcome, attempt.exit_status) == (Outcome.FAILED, status)


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("dump /home; kill -KILL $$", 255),
        ("dump /home; bash -c 'kill -KILL $$' || exit $?", 137),
    ],
)
def test_a_command_that_is_killed_at_the_server(rig: Rig, command: str, status: int) -> None:
    """The link is alive, so it is not lost; what it started may go on, so nothing counts yet."""
    rig.configure(command=f"mark; {command}")
    done = rig.run("run", "--json")
    assert (done.exit, done.json["error"]) == (100, "run-killed")
    assert f"the run was cut off at the server, exit status {status}" in done.json["message"]
    (row,) = rig.run("history", "--json").json
    assert (row["outcome"], row["exit_status"]) == ("killed", status)
    assert rig.memory().attempts[0].outcome is Outcome.KILLED
    assert rig.memory().confirmed == {}
    again = rig.run("run", "--json")
    assert (again.exit, again.json["error"], rig.marks()) == (75, "run-unsettled", 1)


def test_after_a_failed_command_the_next_start_tries_again_at_once(rig: Rig) -> None:
    """What amandates says of a failed run does not count, and nothing is waited for."""
    assert rig.wait(rig.classic("dump /home; exit 1$(mark)")).exit == 100
    flaky = 'dump /home; mark; test "$(wc -l </srv/stage/marks)" -gt 1'
    assert rig.wait(rig.classic(flaky)).exit == 0


def test_no_disk_moved(rig: Rig) -> None:
    """Exit status 0 is no proof: a command that dumped nothing is no backup."""
    done = rig.wait(rig.classic("true"))
    assert done.exit == 100
    assert "the command ended with exit status 0, but no disk moved forward" in done.stderr
    assert "dumptype record" in done.stderr


def test_a_wanted_disk_did_not_move(rig: Rig) -> None:
    """Each disk that is wanted has to move."""
    rig.configure(command="dump /home", disks=["/home", "/etc"])
    done = rig.run("run", "--json")
    assert (done.exit, done.json["error"]) == (100, "disk-not-dumped")
    assert "did not dump /etc" in done.json["message"]


def test_what_an_incomplete_run_dumped_counts(rig: Rig) -> None:
    """Its command ended well, so it is not made again at once; who wants that uses force."""
    rig.server.write(f"{rig.stage}/disks", "/home")
    rig.configure(command=f"dump $(cat {rig.stage}/disks)", disks=["/home", "/etc"])
    assert rig.run("run").exit == 100
    (attempt,) = rig.memory().attempts
    assert (attempt.outcome, attempt.exit_status) == (Outcome.INCOMPLETE, 0)
    assert [dump.disk for dump in attempt.dumps] == ["/home"]
    assert (set(rig.memory().confirmed), rig.memory().distrusted) == ({"/home"}, ())
    rig.server.write(f"{rig.stage}/disks", "/home /etc")
    silent = rig.run("run")
    assert (silent.exit, silent.stdout, silent.stderr) == (75, "", "")
    told = rig.run("run", "-v")
    assert told.exit == 75
    assert "the last run went well and did not dump /etc; the next try is at" in told.stderr
    assert rig.run("run", "--force").exit == 0


def test_a_forced_run_wants_every_disk(rig: Rig) -> None:
    """Fresh or not: who forces a backup wants one of all."""
    rig.configure(command="dump /home /etc", disks=["/home", "/etc"])
    assert rig.run("run").exit == 0
    rig.configure(command="dump /home", disks=["/home", "/etc"])
    forced = rig.run("run", "--force", "--json")
    assert (forced.exit, forced.json["error"]) == (100, "disk-not-dumped")
    assert "did not dump /etc" in forced.json["message"]


@pytest.mark.parametrize(
    ("status", "exit_code", "words"),
    [
        (2, 0, "with remarks (exit status 2: strange output from a dump)"),
        (5, 100, "the run failed, exit status 5: an error, a dump that failed"),
    ],
)
def test_the_status_of_amdump_is_a_sum_of_bits(
    rig: Rig, status: int, exit_code: int, words: str
) -> None:
    """Strange is a success with remarks; the rest is told apart."""
    script = f"#!/bin/sh\ndump /home\nexit {status}\n"
    rig.server.write(f"{rig.stage}/amdump", script, mode=0o755)
    done = rig.wait(rig.classic(f"{rig.stage}/amdump daily"))
    assert done.exit == exit_code
    assert words in done.stdout + done.stderr


def test_a_session_that_the_server_refuses_is_not_a_second_connection(rig: Rig) -> None:
    """Where the master cannot carry the command, ssh must not connect anew by itself."""
    with rig.sshd("MaxSessions 0") as log:
        done = rig.wait(rig.classic("mark; dump /home", "backup@amanda:2222"))
        assert done.exit == 100
        assert rig.server.read(log).count("Connection from ") == 1
    assert rig.marks() == 0
