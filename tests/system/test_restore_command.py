"""`list` and `restore` on a laptop, through a real ssh to a gate that is a script.

Root's commands use the Amanda user's key, and ssh never runs as root.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.system import restoring_gate
from tests.system.test_gate_client import forced
from tests.system.trees import describe, make_tree, pack

from asyncamanda.errors import Exit

if TYPE_CHECKING:
    from tests.system.conftest import Done, Rig

STAGE = "/srv/stage"
FORCED = f"""\
#!/bin/sh
test "$SSH_ORIGINAL_COMMAND" = "asyncamanda gate restore" || exit 77
/opt/asyncamanda/bin/python {STAGE}/gate.py {STAGE}/scenario
status=$?
test $status = 99 && kill -KILL $PPID # the connection breaks
exit $status
"""
OLDER_GATE = """\
#!/bin/sh
echo "asyncamanda gate: this key may not run 'asyncamanda gate restore'" >&2
echo "hint: it is for the agent" >&2
exit 77
"""
WITH_ALL = ("--format=pax", "--sparse", "--xattrs", "--xattrs-include=*", "--acls")
RUN = restoring_gate.RUN
NEW = "/root/restored-laptop-2026-11-20"


@dataclass
class Office:
    """The scripted gate at the rig's server, and a laptop whose /srv/data it has."""

    rig: Rig

    def play(self, **keys: object) -> None:
        """Let the gate answer so from now on."""
        scenario = {
            "archive": f"{STAGE}/packed",
            "folder": STAGE,
            "disks": {"/srv/data": "/srv/data", "/": "/"},
            **keys,
        }
        self.rig.server.write(f"{STAGE}/scenario", json.dumps(scenario))

    def run(self, *words: str, cwd: str = "/root", user: str = "root") -> Done:
        """Run a command on the laptop, in a folder of it."""
        return self.rig.run(*words, cwd=cwd, user=user)

    def path(self, path: str) -> Path:
        """Return where a path of the laptop's is."""
        return self.rig.laptop.path(path)


@pytest.fixture
def office(rig: Rig) -> Iterator[Office]:
    """Yield a laptop with files, and a gate that has them as they were."""
    data = rig.laptop.path("/srv/data")
    subprocess.run(["rm", "-rf", data], check=True)
    make_tree(data)
    pack(data, rig.server.path(f"{STAGE}/packed"), *WITH_ALL)
    rig.server.path(f"{STAGE}/packed").chmod(0o644)
    rig.server.write(f"{STAGE}/gate.py", Path(restoring_gate.__file__).read_text("utf-8"))
    rig.server.write("/usr/local/bin/restoring-gate", FORCED, mode=0o755)
    rig.laptop.write(rig.config, 'server = "backup@amanda"\n')
    whole = Office(rig)
    whole.play()
    with forced(rig, "restoring-gate"):
        yield whole
    for path in (data, *rig.laptop.path("/root").glob("*restored-*")):
        subprocess.run(["rm", "-rf", path], check=True)


def test_the_disks_are_listed_with_their_dates(office: Office) -> None:
    """For people, and as JSON."""
    done = office.run("list")
    assert (done.exit, done.stderr) == (0, "")
    words = [line.split() for line in done.stdout.splitlines()]
    assert [row[0] for row in words if row[-1:] == ["2"]] == ["/srv/data", "/"]
    disks = office.run("list", "--json").json
    assert [(disk["disk"], disk["dumps"][1]["run"]) for disk in disks] == [
        ("/srv/data", RUN),
        ("/", RUN),
    ]


@pytest.mark.parametrize(
    ("path", "cwd"),
    [
        ("/srv/data/listed", "/root"),
        ("/srv/data/listed/", "/"),
        ("listed", "/srv/data"),
        (".", "/srv/data/listed"),
        ("../data/listed", "/srv/data"),
        ("/srv/data/../data//listed/.", "/root"),
        ("way/listed", "/root"),
        (".", "/root/way/listed"),
        ("/srv/data/gone/../listed", "/root"),
    ],
)
def test_a_path_is_found_however_it_is_named(office: Office, path: str, cwd: str) -> None:
    """Absolute, relative to a folder that a link leads to, with a slash at its end."""
    way = office.path("/root/way")
    way.unlink(missing_ok=True)
    way.symlink_to("/srv/data")
    done = office.run("list", path, cwd=cwd)
    way.unlink()
    assert done.exit == 0, done.stderr
    shown = "below" if path == "." else f"{path.rstrip('/')}/below"
    assert done.stdout == f"{shown}\n"


def test_a_link_on_the_way_may_lead_to_another_disk(office: Office) -> None:
    """The backup follows none: it has the file by its real name, though that disk is shorter."""
    office.play(disks={"/srv/data": "/srv/data", "longer": "/root/longer", "/": "/"})
    folder = office.path("/root/longer")
    folder.mkdir()
    (folder / "way").symlink_to("/srv/data")
    for path, cwd in (("way/one", "/root/longer"), ("one", "/root/longer/way")):
        done = office.run("list", path, cwd=cwd)
        assert (done.exit, done.stdout) == (0, f"{path}\n"), done.stderr
    words = ("restore", "way/secret/key", "--to", "/root/restored-link")
    done = office.run(*words, cwd="/root/longer")
    subprocess.run(["rm", "-r", folder], check=True)
    assert done.exit == 0, done.stderr
    assert office.path("/root/restored-link/key").read_text() == "secret"


def test_a_path_in_a_folder_that_is_gone_is_found(office: Office) -> None:
    """In the shell that stood there when it was deleted."""
    argv = ["/bin/bash", "-c", 'cd /srv/data/listed && rm -r /srv/data/listed && exec "$@"', "bash"]
    command = ["/opt/asyncamanda/bin/python", "-m", "asyncamanda", "restore", "below", "--to"]
    office.rig.laptop.run([*argv, *command, "/root/restored-x"])
    assert office.path("/root/restored-x/below").read_text() == "below"


def test_names_are_listed_as_they_are_or_escaped(office: Office) -> None:
    """With -0 byte by byte, otherwise so that no terminal acts on them; folders have a slash."""
    raw = office.rig.laptop.run(
        ["/opt/asyncamanda/bin/python", "-m", "asyncamanda", "list", "-R", "-0", "/srv/data"]
    ).stdout
    names = {os.fsencode(name) for name in raw.split("\0")[:-1]}
    assert names == {b"/srv/data/" + name for name in describe(office.path("/srv/data"))}
    done = office.run("list", "/srv/data/odd")
    assert len(done.stdout.splitlines()) == len([*office.path("/srv/data/odd").iterdir()])
    assert "/srv/data/odd/Dbell\\x07/\n" in done.stdout
    assert "/srv/data/odd/Dnew\\x0aline/\n" in done.stdout
    assert "/srv/data/odd/three\n" in done.stdout
    found = office.run("list", "--find", "*key", "/srv/data")
    assert found.stdout == "/srv/data/secret/key\n"
    value = office.run("list", "--find", "*key", "/srv/data", "--json").json
    assert value["entries"] == [
        {"path": "/srv/data/secret/key", "disk": "/srv/data", "is_folder": False}
    ]
    assert value["disks"][0]["run"] == RUN


@pytest.mark.parametrize("record", ["Ylisted-9", "Ylisted/../other", "Y..", "Ylisted/.."])
def test_a_list_has_no_names_but_those_below_what_was_asked_for(
    office: Office, record: str
) -> None:
    """`list -0` may go into another program, which acts on files here."""
    office.play(listed=[record])
    for how in ("-0", "--json"):
        done = office.run("list", "/srv/data/listed", how)
        assert done.exit == 76
        assert not [name for name in ("-9", "other", "..", "below") if name in done.stdout]


def test_the_versions_of_a_file_are_listed(office: Office) -> None:
    """The file first, then its sizes and dates, the newest first."""
    done = office.run("list", "/srv/data/one", "--versions")
    first, *rows = done.stdout.splitlines()
    assert first == "/srv/data/one"
    assert [row.split()[2] for row in rows[2:]] == [RUN, restoring_gate.OLDER]
    assert [row.split()[-1] for row in rows[2:]] == ["changed", "same"]
    value = office.run("list", "/srv/data/one", "--versions", "--json").json
    assert [each["size"] for each in value["versions"]] == [5, 4]


def test_what_was_not_there_is_said_with_names_near_it(office: Office) -> None:
    """By list and by restore, 65; nothing is made."""
    for words in (("list", "/srv/data/lost"), ("restore", "/srv/data/lost")):
        done = office.run(*words)
        assert (done.exit, done.stdout) == (65, "")
        assert re.search(r"\bnear it there is: (/srv/data/)?near\b", done.stderr)
    nowhere = office.run("restore", "/srv/data/lost", "--disk", "/nope")
    assert nowhere.exit == 65
    assert "there are: /srv/data, /" in nowhere.stderr
    assert not [path for path in office.path("/root").iterdir() if "restored" in path.name]


def test_a_deleted_folder_comes_back_with_its_owner(office: Office) -> None:
    """Into a new folder of this host and date, then into another one; ssh is never root's."""
    before = describe(office.path("/srv/data"))
    subprocess.run(["rm", "-r", office.path("/srv/data/secret")], check=True)
    done = office.run("restore", "secret", cwd="/srv/data")
    assert done.exit == 0, done.stderr
    place = "/srv/data/restored-laptop-2026-11-20"
    assert f"restoring to {place}:\n" in done.stderr
    assert "/srv/data as it was at 2026-11-20 " in done.stderr
    assert "1 file, 1 folder, 6 B" in done.stderr
    assert done.stdout.startswith(f"restored 1 file, 1 folder, 6 B to {place} in ")
    seen = describe(office.path(place))
    assert seen == {name: before[name] for name in (b"secret", b"secret/key")}
    assert office.path(place).stat().st_mode & 0o7777 == 0o700
    assert office.run("restore", "secret", cwd="/srv/data").exit == 0
    assert describe(office.path(f"{place}-2")) == seen


def test_ssh_runs_as_the_amanda_user(office: Office) -> None:
    """While root unpacks."""
    office.play(hold=f"{STAGE}/let-go", hold_at=100_000)
    restore = office.rig.start("restore", "/srv/data", cwd="/root")
    office.rig.until(lambda: office.rig.has("holding"), "the stream waits")
    seen = office.rig.ssh_processes()
    office.rig.let_go()
    assert office.rig.wait(restore).exit == 0
    backup = office.rig.laptop.account("backup").uid
    assert seen
    assert {one.uid for one in seen} == {backup}
    assert describe(office.path(f"{NEW}/data")) == describe(office.path("/srv/data"))


def test_a_connection_that_breaks_is_made_again(office: Office) -> None:
    """And what comes is whole."""
    office.play(cuts=[1_500_000, 30_000])
    done = office.run("restore", "/srv/data")
    assert done.exit == 0, done.stderr
    assert done.stderr.count("; trying again\n") == 2
    assert describe(office.path(f"{NEW}/data")) == describe(office.path("/srv/data"))


def test_what_is_missing_is_listed_and_the_exit_code_says_so(office: Office) -> None:
    """100, with each file; and as JSON."""
    office.play(missing={"listed/lost": "no dump of the chain has it"})
    done = office.run("restore", "/srv/data/listed", "/srv/data/nope")
    assert done.exit == Exit.NOT_STORED
    assert "  /srv/data/listed/lost: no dump of the chain has it\n" in done.stdout
    assert "  /srv/data/nope (near it: /srv/data/near)\n" in done.stdout
    done = office.run("restore", "/srv/data/listed", "/srv/data/nope", "--json")
    *_, last = map(json.loads, done.stdout.splitlines())
    assert (last["event"], last["exit"], last["files"]) == ("finished", 100, 1)
    assert last["missing"] == [
        {"path": "/srv/data/listed/lost", "reason": "no dump of the chain has it"}
    ]
    assert last["target"] == f"{NEW}-2"


def test_in_place_a_file_goes_back_where_it_was(office: Office) -> None:
    """One that is there is kept, and then it is no success unless that was wanted."""
    before = describe(office.path("/srv/data"))
    office.path("/srv/data/large").unlink()
    done = office.run("restore", "--in-place", "large", cwd="/srv/data")
    assert done.exit == 0, done.stderr
    assert "restored 1 file, 3.1 MB in place in" in done.stdout
    assert describe(office.path("/srv/data")) == before
    done = office.run("restore", "--in-place", "large", cwd="/srv/data")
    assert done.exit == Exit.NOT_STORED
    assert "1 file that was there already was kept" in done.stdout
    assert "restored 0 files, 0 B in place in" in done.stdout
    done = office.run("restore", "--in-place", "--overwrite", "newer", "large", cwd="/srv/data")
    assert done.exit == 0


def test_a_disk_by_its_name_takes_paths_relative_to_it_but_not_in_place(office: Office) -> None:
    """Where files go in place is what was typed, and not what the server says of its disks."""
    office.play(disks={"data": "/srv/data", "evil": "/root"})
    done = office.run("restore", "--disk", "data", "secret/key", "--to", "/root/restored-x")
    assert done.exit == 0, done.stderr
    assert office.path("/root/restored-x/key").read_text() == "secret"
    done = office.run("restore", "--in-place", "--disk", "evil", "secret/key", cwd="/srv/data")
    assert done.exit == 65
    assert "secret/key is not on evil, which is /root here" in done.stderr
    assert not office.path("/root/secret").exists()


def test_in_a_folder_that_is_gone_another_has_to_be_named(office: Office) -> None:
    """By its whole path."""
    line = 'mkdir /root/gone && cd /root/gone && rmdir /root/gone && exec "$@"'
    command = ["/opt/asyncamanda/bin/python", "-m", "asyncamanda", "restore", "/srv/data/one"]
    for more in ([], ["--to", "x"], ["--resume"]):
        argv = ["/bin/bash", "-c", line, "bash", *command, *more]
        done = office.rig.laptop.run(argv, check=False)
        assert done.returncode == 64
        assert "the folder in which this was started is gone" in done.stderr


def test_a_dry_run_changes_nothing(office: Office) -> None:
    """And says what would come back."""
    done = office.run("restore", "--dry-run", "/srv/data/secret", "/srv/data/acl")
    assert done.exit == 0
    assert done.stdout.startswith("would restore to a new folder in this one:\n")
    assert "2 files, 1 folder, 9 B" in done.stdout
    assert not office.path(NEW).exists()


def test_ctrl_c_stops_and_says_how_to_go_on(office: Office) -> None:
    """75; the server's program is gone, and the command that is said brings the rest."""
    office.play(hold=f"{STAGE}/never", hold_at=1_000_000)
    restore = office.rig.start("restore", "/srv/data", cwd="/root")
    office.rig.until(lambda: office.rig.has("holding"), "the stream waits")
    office.rig.until(office.path(NEW).exists, "something has come")
    restore.send_signal(2)
    done = office.rig.wait(restore)
    assert done.exit == 75
    command = f"asyncamanda restore --resume --to {NEW}"
    assert f"hint: to go on: {command}\n" in done.stderr
    office.rig.until(lambda: not office.rig.sessions(), "the server is left")
    office.play()
    assert office.run(*command.split()[1:]).exit == 0
    assert describe(office.path(f"{NEW}/data")) == describe(office.path("/srv/data"))
    assert office.run("restore", "--resume").exit == 65


def test_the_amanda_users_process_has_none_of_roots_descriptors(office: Office) -> None:
    """Folders and the record are root's, and open before the connection of one that goes on."""
    office.play(hold=f"{STAGE}/never", hold_at=1_000_000)
    restore = office.rig.start("restore", "/srv/data", cwd="/root")
    office.rig.until(lambda: office.rig.has("holding"), "the stream waits")
    office.rig.until(lambda: [*office.path(NEW).glob("data/*")], "something has come")
    restore.send_signal(2)
    assert office.rig.wait(restore).exit == 75
    office.rig.until(lambda: not office.rig.sessions(), "the server is left")
    office.rig.server.path(f"{STAGE}/holding").unlink(missing_ok=True)
    office.play(hold=f"{STAGE}/let-go", hold_at=0)
    restore = office.rig.start("restore", "--resume", cwd="/root")
    office.rig.until(lambda: office.rig.has("holding"), "the stream waits")
    backup = f"Uid:\t{office.rig.laptop.account('backup').uid}\t"
    opened = {
        str(link.readlink())
        for seen in office.rig.processes(office.rig.laptop)
        if "asyncamanda" in seen.argv
        and backup in office.path(f"/proc/{seen.pid}/status").read_text()
        for link in office.path(f"/proc/{seen.pid}/fd").iterdir()
    }
    office.rig.let_go()
    assert office.rig.wait(restore).exit == 0
    assert opened
    assert not [path for path in opened if "restored-laptop" in path or path == "/root"]


def test_in_place_what_was_cut_goes_on_by_the_words_that_are_said(office: Office) -> None:
    """With the configuration that was named; and no file is replaced against what was said."""
    before = describe(office.path("/srv/data"), without=("mtime",))
    office.path("/srv/data/one").write_text("mine")
    office.play(hold=f"{STAGE}/never", hold_at=1_000_000)
    named, words = ["--config", office.rig.config], ["--in-place", "--overwrite", "always"]
    restore = office.rig.start("restore", "/srv/data", *named, *words, cwd="/root")
    office.rig.until(lambda: office.rig.has("holding"), "the stream waits")
    office.rig.until(lambda: [*office.path("/srv/data").glob(".async*/files/*")], "it has begun")
    restore.send_signal(2)
    done = office.rig.wait(restore)
    assert done.exit == 75
    command = f"asyncamanda restore {' '.join([*named, '--resume', *words])} /srv/data"
    assert f"to go on: {command}\n" in done.stderr.replace("\n  ", " ")
    office.play()
    for otherwise in ("never", "newer"):
        other = ("--in-place", "--overwrite", otherwise)
        done = office.run("restore", "--resume", *other, "/srv/data")
        assert (done.exit, office.path("/srv/data/one").read_text()) == (64, "mine")
        assert "begun with --overwrite always" in done.stderr
    assert office.run(*command.split()[1:]).exit == 0
    assert describe(office.path("/srv/data"), without=("mtime",)) == before


def test_a_server_that_is_older_is_named_as_that(office: Office) -> None:
    """Its gate denies a command that it does not know."""
    office.rig.server.write("/usr/local/bin/restoring-gate", OLDER_GATE, mode=0o755)
    for words in (("list",), ("list", "/srv/data"), ("restore", "/srv/data")):
        done = office.run(*words)
        assert done.exit == 77
        assert "gives no files back" in done.stderr
        assert "it is older than this one" in done.stderr


def test_a_server_that_cannot_be_reached_is_said_so(office: Office) -> None:
    """Also without a terminal: this was not started by a timer."""
    office.rig.laptop.write(office.rig.config, 'server = "backup@nowhere.invalid"\n')
    done = office.run("restore", "/srv/data/one")
    assert done.exit == 75
    assert "the name nowhere.invalid does not resolve" in done.stderr


def test_a_client_in_direct_mode_has_no_gate(office: Office) -> None:
    """And the page for that is named."""
    office.rig.configure()
    done = office.run("list")
    assert done.exit == 78
    assert "/restore.md says" in done.stderr


def test_a_user_with_a_configuration_of_their_own_gets_files_as_theirs(office: Office) -> None:
    """With their key, and no root anywhere."""
    laptop, user = office.rig.laptop, "backup"
    home = laptop.account(user).home
    folder = f"{home}/.config/asyncamanda"
    laptop.run(["install", "-d", "-o", user, f"{home}/.config", folder])
    laptop.write(f"{folder}/client.toml", 'server = "backup@amanda"\n', owner=user)
    laptop.run(["rm", office.rig.config])
    laptop.run(["install", "-d", "-o", user, "/srv/own"])
    done = office.run("restore", "/srv/data/secret", cwd="/srv/own", user=user)
    assert done.exit == 0, done.stderr
    (place,) = office.path("/srv/own").glob("restored-*")
    found = [place, *place.rglob("*")]
    laptop_uid = laptop.account(user).uid
    assert {path.lstat().st_uid for path in found} == {laptop_uid}
    assert (place / "secret/key").read_text() == "secret"
    subprocess.run(["rm", "-rf", office.path(f"{home}/.config")], check=True)


@pytest.mark.parametrize(
    "words",
    [
        ("restore",),
        ("restore", "x", "--in-place", "--to", "y"),
        ("restore", "x", "--overwrite", "always"),
        ("restore", "x", "--at", "tomorrow-ish"),
        ("restore", "--resume", "--in-place"),
        ("list", "--at", "yesterday"),
        ("list", "x", "--versions", "--find", "y"),
        ("list", "x", "-0", "--json"),
    ],
)
def test_options_that_make_no_sense_are_refused(office: Office, words: tuple[str, ...]) -> None:
    """Before anybody is asked."""
    assert office.run(*words).exit == 64
    assert not office.rig.has("asked")
