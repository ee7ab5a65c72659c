"""`status` for every user of the machine, and what other commands tell those who may not look."""

from __future__ import annotations

import json
import stat
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.system.conftest import Done, Rig

PUBLIC = "/var/lib/asyncamanda/public"
SUMMARY = f"{PUBLIC}/status.json"
CLIENT = "/var/lib/asyncamanda/client"


@pytest.fixture
def private(rig: Rig) -> Rig:
    """Yield the hosts, with a client.toml as setup makes it: for root and backup alone."""
    rig.configure()
    close(rig)
    return rig


def close(rig: Rig) -> None:
    """Let client.toml be for root and backup alone."""
    rig.laptop.run(["chown", "root:backup", rig.config])
    rig.laptop.path(rig.config).chmod(0o640)


def ask(rig: Rig, *words: str, user: str = "nobody") -> Done:
    """Run a command as an ordinary user."""
    return rig.run(*words, user=user)


def first_line(done: Done) -> str:
    """Return what is told first."""
    return done.stdout.splitlines()[0]


def disk_lines(done: Done) -> list[str]:
    """Return the lines of disks."""
    return [line for line in done.stdout.splitlines() if line.startswith("/")]


def test_every_user_is_told_the_same_as_root(private: Rig) -> None:
    """State, reason, disks and exit code; and from when it is."""
    assert private.run("run").exit == 0
    root, user = private.run("status"), ask(private, "status")
    assert (root.exit, user.exit, user.stderr) == (0, 0, "")
    assert first_line(root).startswith("all well: ")
    assert first_line(user) == first_line(root)
    assert disk_lines(user) == disk_lines(root)
    assert disk_lines(root)[0].startswith("/home: full, less than a minute ago; next ")
    assert "as of the agent's last start, less than a minute ago, today " in user.stdout
    assert "as of the agent's last start," not in root.stdout


def test_json_is_the_same_but_for_what_only_root_knows(private: Rig) -> None:
    """With state and exit code in it."""
    assert private.run("run").exit == 0
    root, user = private.run("status", "--json").json, ask(private, "status", "--json").json
    assert (user["state"], user["exit"], user["hint"]) == ("well", 0, None)
    assert root.pop("written_at") is None
    assert user.pop("written_at") is not None
    assert (root.pop("exclude"), user.pop("exclude")) == ([], None)
    for words in ("reason", "message"):  # with ages to the second
        assert user.pop(words).partition(":")[0] == root.pop(words).partition(":")[0]
    counted_at = user["exposure"].pop("as_of")  # root's is of now
    assert counted_at < root["exposure"].pop("as_of")
    assert root["exposure"].pop("used_seconds") >= user["exposure"].pop("used_seconds")
    assert user == root


def test_a_failure_is_told_to_every_user_with_its_exit_code(private: Rig) -> None:
    """100, while the last backup is fresh as well."""
    private.set_dumped(ago=3600)
    private.configure(command="exit 1")
    close(private)
    assert private.run("run", "--force").exit == 100
    for user in ("root", "backup", "nobody"):
        done = ask(private, "status", user=user)
        assert done.exit == 100
        assert first_line(done).startswith("FAILING: the run less than a minute ago failed: ")
        assert "what to do: " in done.stdout.splitlines()[1]
        value = ask(private, "status", "--json", user=user)
        assert (value.exit, value.json["state"], value.json["exit"]) == (100, "failing", 100)


def test_what_keeps_the_next_try_waiting_is_told_to_every_user(rig: Rig) -> None:
    """It was drawn when the try had was unsuccessful, and the summary has it already."""
    rig.configure(server="backup@amanda:2222", retry_within="1h")
    rig.set_dumped(ago=-86_400, disk="/odd")
    rig.laptop.append(rig.amandates, f"/home 0 {int(time.time()) - 2 * 86_400}\n", owner="backup")
    close(rig)
    rig.laptop.path(rig.amandates).chmod(0o600)
    assert rig.run("run").exit == 75
    told = []
    for user in ("root", "nobody"):
        done = ask(rig, "status", user=user)
        assert done.exit == 0
        assert "amandates: dated in the future, no evidence of a backup: /odd at " in done.stdout
        told.append([line for line in done.stdout.splitlines() if line.startswith("next try: ")])
    assert told[0] == told[1]
    assert told[0][0].startswith("next try: at the first start after ")


def test_an_old_summary_becomes_overdue_and_stale_by_itself(private: Rig) -> None:
    """It is judged at the time of asking, though the agent may have ended for good."""
    assert private.run("run").exit == 0
    value = json.loads(private.laptop.read(SUMMARY))
    for days, code, word in ((2, 0, "overdue: "), (8, 101, "STALE: ")):
        private.laptop.write(SUMMARY, json.dumps(age(value, days)), owner="backup")
        done = ask(private, "status")
        assert (done.exit, first_line(done)[: len(word)]) == (code, word)
        assert f"as of the agent's last start, {days} days ago" in done.stdout


def age(value: Any, days: int) -> Any:
    """Return a summary's JSON as if it had been written so many days ago."""
    if isinstance(value, dict):
        return {key: age(each, days) for key, each in value.items()}
    if isinstance(value, list):
        return [age(each, days) for each in value]
    if isinstance(value, str) and value.endswith("+00:00"):
        return (datetime.fromisoformat(value) - timedelta(days=days)).isoformat()
    return value


def test_the_summary_is_backups_in_a_folder_of_its_own(private: Rig) -> None:
    """Others may read it, and change nothing; the agent's memory may be closed beside it."""
    assert private.run("run").exit == 0
    private.laptop.path(CLIENT).chmod(0o700)
    backup = private.laptop.account("backup")
    for path, mode in ((PUBLIC, 0o755), (SUMMARY, 0o644)):
        status = private.laptop.path(path).stat()
        assert (stat.S_IMODE(status.st_mode), status.st_uid) == (mode, backup.uid)
    assert [path.name for path in private.laptop.path(PUBLIC).iterdir()] == ["status.json"]
    assert ask(private, "status").exit == 0
    assert private.run("run", "--force").exit == 0
    assert private.run("status").exit == 0


def test_the_folder_is_made_anew_and_no_link_is_followed(private: Rig) -> None:
    """Whose it was and how it was open; a link in its place is left alone, and backups go on."""
    private.laptop.make_directory(PUBLIC, mode=0o700)
    assert private.run("run").exit == 0
    assert ask(private, "status").exit == 0
    private.laptop.remove(PUBLIC)
    private.laptop.make_directory("/srv/elsewhere", mode=0o700)
    private.laptop.path("/var/lib/asyncamanda").joinpath("public").symlink_to("/srv/elsewhere")
    assert private.run("run", "--force").exit == 0
    elsewhere = private.laptop.path("/srv/elsewhere").stat()
    assert (stat.S_IMODE(elsewhere.st_mode), elsewhere.st_uid) == (0o700, 0)


def test_a_link_in_the_place_of_the_summary_is_not_read(private: Rig) -> None:
    """Nor a pipe, on which a reader would wait forever."""
    assert private.run("run").exit == 0
    private.laptop.remove(SUMMARY)
    for make in (["ln", "-s", "/etc/hostname"], ["mkfifo"]):
        private.laptop.run([*make, SUMMARY])
        done = ask(private, "status", "--json")
        assert (done.exit, done.json["error"]) == (65, "summary-damaged")
        assert "as root: asyncamanda status" in done.json["hint"]
        private.laptop.path(PUBLIC).joinpath("status.json").unlink()


@pytest.mark.parametrize(
    "words", [["check"], ["history"], ["run"], ["run", "--dry-run"], ["doctor"]]
)
@pytest.mark.parametrize("closed", ["client.toml", "memory"])
def test_other_commands_say_who_may(rig: Rig, words: list[str], closed: str) -> None:
    """With a way out; and they leave nothing behind."""
    rig.configure()
    assert rig.run("run").exit == 0
    if closed == "client.toml":
        close(rig)
    else:
        rig.laptop.path(CLIENT).chmod(0o700)
    before = rig.laptop.read(f"{CLIENT}/memory.json")
    done = ask(rig, *words, "--json")
    assert done.exit == 77
    assert "backup" in done.json["message"]
    if words != ["doctor"] or closed == "client.toml":
        assert done.json["message"].startswith("only root and the Amanda user (backup) can do this")
        assert "as root" in done.json["hint"]
        assert "`asyncamanda status` works for every user" in done.json["hint"]
    assert rig.laptop.read(f"{CLIENT}/memory.json") == before


def test_a_run_by_another_user_ends_before_it_tells_anybody(rig: Rig) -> None:
    """Though client.toml is for everybody to read: a watchdog would take it for a failed backup."""
    rig.configure()
    assert rig.run("run").exit == 0
    done = ask(rig, "run", "--force", "--json")
    assert (done.exit, done.json["error"]) == (77, "not-yours")
    assert rig.marks() == 0


def test_what_keeps_the_amanda_user_out_is_told_as_what_it_is(rig: Rig) -> None:
    """To that user, for whom the folder is."""
    rig.configure()
    rig.laptop.make_directory("/var/lib/asyncamanda/client", mode=0o500)
    done = ask(rig, "run", "--json", user="backup")
    assert (done.exit, done.json["error"]) == (77, "state-not-writable")


def test_before_the_first_start_there_is_no_word_yet(private: Rig) -> None:
    """Then it is said who may look, and that everybody may once the agent has run."""
    done = ask(private, "status", "--json")
    assert (done.exit, done.json["error"]) == (77, "no-summary")
    assert done.json["hint"].endswith("as root: asyncamanda status")


def test_a_users_own_configuration_is_that_users(private: Rig) -> None:
    """It is looked at as ever, and its mistakes are told: the machine's backups are others."""
    assert private.run("run").exit == 0
    private.laptop.append("/etc/passwd", "dave:x:2002:2002::/srv/dave:/bin/sh\n")
    private.laptop.make_directory("/srv/dave", owner="dave")
    own = "/srv/dave/.config/asyncamanda/client.toml"
    private.laptop.write(own, 'server = "backup@amanda"\n', owner="dave")
    done = ask(private, "status", user="dave")
    assert (done.exit, first_line(done)) == (0, "no backup known: the server was never asked")
    private.laptop.write(own, 'server = "backup@amanda"\ncommand = "true"\n', owner="dave")
    done = ask(private, "status", "--json", user="dave")
    assert (done.exit, done.json["error"]) == (77, "amandates-unreadable")
    private.laptop.path(own).chmod(0)
    done = ask(private, "status", "--json", user="dave")
    assert (done.exit, done.json["error"]) == (78, "config-unreadable")
    assert not private.laptop.path("/srv/dave/.local").exists()


def test_a_configuration_of_another_name_has_a_summary_of_its_own(rig: Rig) -> None:
    """Named alike by whoever asks for it."""
    path = rig.configure("/srv/away.toml")
    rig.laptop.path(path).chmod(0o600)
    rig.laptop.run(["chown", "backup", path])
    assert rig.run("run", "--config", path).exit == 0
    assert ask(rig, "status", "--config", path).exit == 0
    assert not rig.laptop.path(SUMMARY).exists()


def test_a_home_of_somebody_elses_is_passed_over(private: Rig) -> None:
    """Whoever became another user by su may still have root's HOME."""
    assert private.run("run").exit == 0
    private.laptop.path("/root").chmod(0o700)
    done = private.run("status", user="nobody", environ={"HOME": "/root"})
    assert done.exit == 0


def test_a_full_disk_keeps_nobody_from_backing_up(private: Rig) -> None:
    """The old summary stays whole, and says from when it is."""
    assert private.run("run").exit == 0
    before = private.laptop.read(SUMMARY)
    private.laptop.remove(PUBLIC)
    private.laptop.write(PUBLIC, "no folder")
    assert private.run("run", "--force").exit == 0
    private.laptop.remove(PUBLIC)
    private.laptop.make_directory(PUBLIC, owner="backup")
    private.laptop.write(SUMMARY, before, owner="backup")
    private.laptop.fill_disk()
    try:
        private.run("run", "--force")
        assert private.laptop.read(SUMMARY) == before
        assert ask(private, "status").exit == 0
    finally:
        private.laptop.free_disk()


def test_a_start_that_finds_nothing_due_leaves_word_when_it_looks(private: Rig) -> None:
    """A full look does; the quick way out after it writes nothing."""
    assert private.run("run").exit == 0
    private.laptop.remove(SUMMARY)

    def is_left() -> bool:
        assert private.run("run").exit == 0
        return private.laptop.path(SUMMARY).exists()

    assert is_left()
    private.until(
        lambda: any(private.laptop.path(CLIENT).glob("note-*")) or not is_left(), "a note"
    )
    private.laptop.remove(SUMMARY)
    assert not is_left()


@pytest.mark.parametrize(
    "words", [["check"], ["status"], ["history"], ["run", "--dry-run"]], ids=" ".join
)
def test_who_only_asks_makes_nothing(rig: Rig, words: list[str]) -> None:
    """Not even root: the first start of the agent makes the folders."""
    rig.configure()
    everything = rig.laptop.path("/var/lib/asyncamanda")
    assert not everything.exists()
    assert rig.run(*words).exit == 0
    assert not everything.exists()
    assert rig.run("run").exit == 0
    assert everything.exists()
