"""What the command at the server does, and what happens to it."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from tests.system.conftest import AMANDATES

from asyncamanda.core.model import Outcome

if TYPE_CHECKING:
    from tests.system.conftest import Done, Rig


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
    """Both of its streams reach the log, line by line, and nothing that a terminal obeys."""
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
    assert f"the run was cut off on the server, exit status {status}" in done.json["message"]
    (row,) = rig.run("history", "--json").json
    assert (row["outcome"], row["exit_status"]) == ("killed", status)
    assert rig.memory().attempts[0].outcome is Outcome.KILLED
    assert rig.memory().confirmed == {}
    again = rig.run("run", "--json")
    assert (again.exit, again.json["error"], rig.marks()) == (75, "run-unsettled", 1)


def test_after_a_failed_command_the_next_start_waits(rig: Rig) -> None:
    """In the classic form, too, in silence; not for who is there, nor for another command."""
    failing = "mark; exit 1"
    assert rig.wait(rig.classic(failing)).exit == 100
    for _ in range(3):
        done = rig.wait(rig.classic(failing))
        assert (done.exit, done.stdout, done.stderr, rig.marks()) == (75, "", "", 1)
    code, said = _typed(rig, failing)
    assert (code, rig.marks()) == (100, 2), said
    assert rig.wait(rig.classic("mark; dump /home")).exit == 0
    assert rig.marks() == 3


def _typed(rig: Rig, command: str) -> tuple[int, str]:
    """Return the exit code of the classic form at a terminal, and what it showed there."""
    terminal, end = os.openpty()
    with os.fdopen(terminal, "rb", buffering=0) as screen:
        agent = rig.classic(command, stderr=end)
        os.close(end)
        said = b""
        with suppress(OSError):  # how a terminal says that nobody writes any more
            while piece := screen.read(4096):
                said += piece
        return rig.wait(agent).exit, said.decode()


def test_no_disk_moved(rig: Rig) -> None:
    """Exit status 0 is no proof: a command that dumped nothing is no backup."""
    done = rig.wait(rig.classic("true"))
    assert done.exit == 100
    assert "the command ended with exit status 0, but no disk moved forward" in done.stderr
    assert "dumptype record" in done.stderr


@pytest.mark.parametrize("form", ["classic", "configured"])
def test_a_command_that_moves_nothing_is_made_once_an_interval(rig: Rig, form: str) -> None:
    """Each may take a volume. The next starts are silent, and say why to who asks."""
    rig.configure(command="mark")

    def start(*words: str) -> Done:
        return rig.wait(rig.classic("mark") if form == "classic" else rig.start("run", *words))

    assert start().exit == 100
    for _ in range(3):
        done = start()
        assert (done.exit, done.stdout, done.stderr, rig.marks()) == (75, "", "", 1)
    if form == "configured":
        asked = start("-v")
        assert (asked.exit, rig.marks()) == (75, 1)
        assert "the last run succeeded but did not dump any disk of this client" in asked.stderr
        assert start("--force").exit == 100
        assert rig.marks() == 2


def test_a_disk_that_moves_late_has_moved(rig: Rig) -> None:
    """amgtar's dumps end at the server before the client writes amandates."""
    rig.configure(command="(hold; dump /home) </dev/null >/dev/null 2>&1 & mark")
    agent = rig.start("run", "--json")
    rig.hold()
    rig.until(lambda: rig.marks() and not _session_runs(rig), "the command ends")
    assert agent.poll() is None
    rig.let_go()
    done = rig.wait(agent)
    assert (done.exit, done.json["outcome"]) == (0, "backed up"), done


LATE = "/srv/sendbackup"  # by its name it is Amanda's program that makes a dump
LATE_SCRIPT = f"""\
#!/bin/bash
until [ -e /srv/go ]; do sleep 0.05; done
echo "/etc 0 $(date +%s)" >>{AMANDATES}
"""


def test_in_a_first_run_what_is_still_written_down_is_waited_for(rig: Rig) -> None:
    """Nobody knows then how many disks there are, and one that has moved is none too few."""
    rig.configure(command="dump /home; mark")
    rig.laptop.write(LATE, LATE_SCRIPT, mode=0o755)
    with rig.laptop.start([LATE]) as writer:
        agent = rig.start("run", "--json")
        rig.until(lambda: rig.marks() and not _session_runs(rig), "the command ends")
        assert agent.poll() is None
        rig.laptop.write("/srv/go", "")
        done = rig.wait(agent)
        assert writer.wait(5) == 0
    assert (done.exit, done.json["outcome"]) == (0, "backed up"), done
    assert {dump["disk"] for dump in done.json["dumps"]} == {"/home", "/etc"}


def _session_runs(rig: Rig) -> bool:
    """Return whether the ssh that carries the command runs, beside the one that connects."""
    return len(rig.ssh_processes()) > 1


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
    assert "the last run succeeded but did not dump /etc; the next try is at" in told.stderr
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
        (2, 0, "with warnings (exit status 2: strange output from a dump)"),
        (16, 100, "the run failed, exit status 16: a tape error"),
    ],
)
def test_the_status_of_amdump_is_a_sum_of_bits(
    rig: Rig, status: int, exit_code: int, words: str
) -> None:
    """Strange is a success with warnings; the rest is told apart."""
    script = f"#!/bin/sh\ndump /home\nexit {status}\n"
    rig.server.write(f"{rig.stage}/amdump", script, mode=0o755)
    done = rig.wait(rig.classic(f"{rig.stage}/amdump daily"))
    assert done.exit == exit_code
    assert words in done.stdout + done.stderr


def test_a_dump_that_failed_for_another_client_is_doubtful(rig: Rig) -> None:
    """Nothing counts, nobody is alarmed, and it is tried once an interval; who asks hears why."""
    # its end comes after the second that the dump allows, as a real one's does
    script = (
        "#!/bin/sh\nmark\ndump /home\nover=$(($(date +%s) + 3))\n"
        'until test "$(date +%s)" -ge $over; do sleep 0.1; done\nexit 5\n'
    )
    rig.server.write(f"{rig.stage}/amdump", script, mode=0o755)
    rig.configure(command=f"{rig.stage}/amdump daily")
    done = rig.run("run", "--json")
    assert (done.exit, done.json["error"]) == (75, "whose-dump-failed")
    assert "exit status 5: an error, a dump that failed" in done.json["message"]
    assert "--exact-match" in done.json["hint"]
    memory = rig.memory()
    assert [each.outcome for each in memory.attempts] == [Outcome.DOUBTFUL]
    assert (memory.confirmed, memory.told) == ({}, {})
    assert rig.run("check", "--json").json["due"]
    silent = rig.run("run")
    assert (silent.exit, silent.stdout, silent.stderr, rig.marks()) == (75, "", "", 1)
    asked = rig.run("run", "-v")
    assert "the last run is doubtful: a dump failed" in asked.stderr


def test_a_run_that_dumped_nobody_is_made_again_after_a_wait(rig: Rig) -> None:
    """Nobody is alarmed; a start in the meantime says nothing without a terminal."""
    rig.server.write(f"{rig.stage}/amdump", "#!/bin/sh\nmark\nexit 9\n", mode=0o755)
    rig.configure(command=f"{rig.stage}/amdump daily", retry_within="1h")
    done = rig.run("run", "--json")
    assert (done.exit, done.json["error"]) == (75, "nobody-dumped")
    memory = rig.memory()
    assert [each.outcome for each in memory.attempts] == [Outcome.NOBODY]
    assert (memory.confirmed, memory.told) == ({}, {})
    silent = rig.run("run")
    assert (silent.exit, silent.stdout, silent.stderr, rig.marks()) == (75, "", "", 1)


def test_a_dump_that_failed_of_this_client_alone_is_a_failure(rig: Rig) -> None:
    """Whatever amandates says."""
    script = "#!/bin/sh\ndump /home\nexit 4\n"
    rig.server.write(f"{rig.stage}/amdump", script, mode=0o755)
    rig.configure(command=f"{rig.stage}/amdump daily --exact-match laptop")
    done = rig.run("run", "--json")
    assert (done.exit, done.json["error"]) == (100, "run-failed")


def test_a_session_that_the_server_refuses_is_not_a_second_connection(rig: Rig) -> None:
    """Where the master cannot carry the command, ssh must not connect again by itself."""
    with rig.sshd("MaxSessions 0") as log:
        done = rig.wait(rig.classic("mark; dump /home", "backup@amanda:2222"))
        assert done.exit == 100
        assert rig.server.read(log).count("Connection from ") == 1
    assert rig.marks() == 0
