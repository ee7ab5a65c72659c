"""asyncamanda setup: from nothing to a confirmed backup, one command on each side."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.fresh import (
    CLIENT_TOML,
    DISK,
    PROGRAM,
    SSH,
    Terminal,
    everything,
    fingerprint,
    open_fresh,
    read_line,
    set_up,
    start_setup,
    type_line,
)
from tests.e2e.laptop import ASYNCAMANDA, Run, ask_json, wait_until

from lab import Lab

KEY = f"{SSH}/id_ed25519"
KNOWN_HOSTS = f"{SSH}/known_hosts"
DISKLIST = "/etc/amanda/daily/disklist"
STATE = "/var/lib/asyncamanda/client"
OTHER = "SHA256:" + "A" * 43


@pytest.fixture
def fresh(lab_prefix: Path) -> Iterator[Lab]:
    """Yield a lab in which nothing is set up."""
    with open_fresh(lab_prefix) as lab:
        yield lab


def enroll(lab: Lab, *words: str) -> Run:
    """Run `server enroll` for the laptop as it is now."""
    argv = [ASYNCAMANDA, "server", "enroll", "laptop", "--key", lab.client.backup_key, *words]
    return lab.server.run(argv, check=False)


def is_backed_up(lab: Lab) -> bool:
    """Return whether the server has confirmed a backup to the client."""
    return ask_json(lab.client, "status")["last_backup_at"] is not None


def test_one_command_on_each_side_brings_a_backup(fresh: Lab) -> None:
    """By options, where no terminal is; a second start then changes nothing at all."""
    words = ("amanda", "--fingerprint", fingerprint(fresh), "--disk", DISK, "--interval", "12h")
    setup = start_setup(fresh, *words, "--backup")
    done = type_line(fresh, read_line(setup))
    assert done.returncode == 0, done.stderr
    assert "changed: the account backup has the shell /bin/sh" in done.stdout
    assert f"changed: {DISKLIST} has laptop {DISK}" in done.stdout
    said, _ = setup.communicate(timeout=60)
    assert (setup.returncode, is_backed_up(fresh)) == (0, True), said
    assert f"with {DISK}" in said
    assert "note: cron does not run" in said  # and nobody is there to be asked
    assert "To start it, as root: service cron start\n" in said
    assert "when due, once cron runs" in " ".join(said.split())
    assert "asyncamanda run" in fresh.client.read("/etc/cron.d/asyncamanda")
    status = fresh.client.path(CLIENT_TOML).stat()
    gid = fresh.client.account("backup").gid
    assert (status.st_uid, status.st_gid, status.st_mode) == (0, gid, 0o100640)
    assert 'interval = "12h"' in fresh.client.read(CLIENT_TOML)
    before, disklist = everything(fresh), fresh.server.read(DISKLIST)
    again = set_up(fresh, *words)
    assert (again.returncode, "done: " in again.stdout) == (0, False), again.stdout + again.stderr
    shown = type_line(fresh, "asyncamanda server clients").stdout
    assert len(re.findall(r"^ *laptop +daily", shown, re.M)) == 1, shown
    assert shown.partition("keys:")[2].count("laptop: ") == 1
    assert (everything(fresh), fresh.server.read(DISKLIST)) == (before, disklist)


def test_on_a_terminal_it_asks_and_waits(fresh: Lab) -> None:
    """For the host key, with the fingerprint shown, and whether to back up; 80 columns suffice."""
    terminal = Terminal(fresh.client, "setup", "amanda", "--disk", DISK, "--no-schedule")
    terminal.expect("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub")
    terminal.expect("the fingerprint itself:")
    terminal.type("what?")
    terminal.expect("yes, no, or the fingerprint:")
    terminal.type(fingerprint(fresh))
    line = terminal.expect_line()
    terminal.expect("waiting (for 30m at most")
    done = type_line(fresh, line)
    assert done.returncode == 0, done.stderr
    terminal.expect("Back up now? [Y/n]")
    terminal.type("")
    terminal.expect("connecting to")
    terminal.press("c")
    assert terminal.end() == 75, terminal.said
    assert "asyncamanda status` shows" in terminal.said  # it was followed to its end
    again = Terminal(fresh.client, "setup", "amanda", "--disk", DISK, "--no-schedule")
    again.expect("Back up now? [Y/n]")
    again.type("")
    assert (again.end(), is_backed_up(fresh)) == (0, True), again.said
    own = [text for text in terminal.said.split("\r\n") if not text.startswith("laptop 20")]
    wide = [text for text in own if len(text) > 80 and "enroll" not in text]
    assert [text for text in wide if "\x1b" not in text and "Please type" not in text] == []
    assert fingerprint(fresh) in terminal.said


def test_what_the_server_says_is_true_right_after_setup(fresh: Lab) -> None:
    """Its disks are known, before any backup; who wants one gets one, and else what is due counts.

    The memory is the Amanda user's, though root has started it.
    """
    server, client = fresh.server, fresh.client
    words = ("amanda", "--fingerprint", fingerprint(fresh), "--disk", DISK, "--no-schedule")
    setup = start_setup(fresh, *words, "--no-backup")
    assert type_line(fresh, read_line(setup)).returncode == 0
    said, _ = setup.communicate(timeout=60)
    assert setup.returncode == 0, said
    status = client.run([ASYNCAMANDA, "status"], check=False).stdout
    assert status.startswith(f"no backup known: {DISK}"), status
    owners = {path.owner() for path in client.path(STATE).iterdir()}
    assert owners == {"backup"}
    for count in (1, 1):  # unattended: what is due
        done = set_up(fresh, *words, "--yes")
        assert (done.returncode, server.amdump_count) == (0, count), done.stdout + done.stderr
    for answer, count in (("", 1), ("y", 2)):
        terminal = Terminal(client, "setup", "amanda", "--disk", DISK, "--no-schedule")
        terminal.expect("not due: no disk's backup is older than")
        terminal.expect("Back up now anyway? [y/N]")
        terminal.type(answer)
        assert (terminal.end(), server.amdump_count) == (0, count), terminal.said
    done = set_up(fresh, *words, "--backup")
    assert (done.returncode, server.amdump_count) == (0, 3), done.stdout + done.stderr
    client.add_tree("/srv/new")
    server.add_dle("laptop", "/srv/new")
    # the server reads its disklist every five seconds at most
    wait_until(
        "the new disk is backed up",
        lambda: "/srv/new (level 0)" in set_up(fresh, *words, "--yes").stdout,
    )
    assert server.amdump_count == 4


def test_a_no_to_the_host_key_changes_nothing(fresh: Lab) -> None:
    """Nor does Ctrl-C, which says how to go on, and later, too."""
    before = everything(fresh)
    terminal = Terminal(fresh.client, "setup", "amanda")
    terminal.expect("the fingerprint itself:")
    terminal.type("no")
    assert (terminal.end(), "nothing was changed" in terminal.said) == (77, True), terminal.said
    terminal = Terminal(fresh.client, "setup", "amanda")
    terminal.expect("the fingerprint itself:")
    terminal.press("c")
    assert (terminal.end(), "asyncamanda setup amanda" in terminal.said) == (75, True)
    assert everything(fresh) == before
    terminal = Terminal(fresh.client, "setup", "amanda")
    terminal.expect("the fingerprint itself:")
    terminal.type("yes")
    terminal.expect("waiting")
    terminal.press("c")
    assert (terminal.end(), "asyncamanda setup amanda" in terminal.said) == (75, True)


def make_admin(lab: Lab) -> None:
    """Have a user `admin` on the client, whose key opens root's account on the server."""
    lab.client.append("/etc/passwd", "admin:x:4242:4242::/home/admin:/bin/sh\n")
    lab.client.run(["install", "-d", "-m", "700", "-o", "4242", "-g", "4242", "/home/admin/.ssh"])
    key = "/home/admin/.ssh/id_ed25519"
    make = f"runuser -u admin -- ssh-keygen -q -t ed25519 -N '' -f {key}"
    lab.client.run(["sh", "-c", make])
    lab.server.make_directory("/root/.ssh", mode=0o700)
    lab.server.write("/root/.ssh/authorized_keys", lab.client.read(f"{key}.pub"), mode=0o600)


def test_via_an_administrators_login_it_enrolls_by_itself(fresh: Lab) -> None:
    """With the keys of whoever called sudo; the host key that was just pinned is enough."""
    make_admin(fresh)
    words = ("amanda", "--fingerprint", fingerprint(fresh), "--disk", DISK, "--no-schedule")
    argv = [PROGRAM, "setup", *words, "--via", "root@amanda", "--backup"]
    done = fresh.client.run(argv, environ={"SUDO_USER": "admin"}, check=False)
    assert (done.returncode, is_backed_up(fresh)) == (0, True), done.stdout + done.stderr
    assert "laptop is enrolled, for daily" in done.stdout
    assert "sudo" not in done.stdout
    assert not fresh.client.path("/home/admin/.ssh/known_hosts").exists()


def test_via_a_login_that_fails_is_explained(fresh: Lab) -> None:
    """And leaves what a second start goes on with."""
    words = ("amanda", "--fingerprint", fingerprint(fresh), "--via", "root@amanda")
    done = set_up(fresh, *words)
    assert done.returncode == 77, done.stdout + done.stderr
    assert "enrolling by ssh could not connect" in done.stderr
    assert "Permission denied" in done.stderr
    make_admin(fresh)
    argv = [PROGRAM, "setup", *words, "--amanda-config", "dialy"]
    done = fresh.client.run(argv, environ={"SUDO_USER": "admin"}, check=False)
    assert (done.returncode, "did you mean daily?" in done.stderr) == (77, True), done.stderr
    assert "exit status 65" in done.stderr


def test_a_wrong_host_key_is_refused_and_nothing_written(fresh: Lab) -> None:
    """By its fingerprint, by what is pinned, and where nobody could confirm it."""
    before = everything(fresh)
    wrong = set_up(fresh, "amanda", "--fingerprint", OTHER)
    assert (wrong.returncode, fingerprint(fresh) in wrong.stderr) == (77, True), wrong.stderr
    unasked = set_up(fresh, "amanda")
    assert unasked.returncode == 64
    assert f"--fingerprint {fingerprint(fresh)}" in unasked.stderr
    assert everything(fresh) == before
    kind, key, *_ = fresh.client.read("/etc/ssh/ssh_host_ed25519_key.pub").split()
    fresh.client.write(KNOWN_HOSTS, f"amanda {kind} {key}\n", owner="backup", mode=0o600)
    before = everything(fresh)
    changed = set_up(fresh, "amanda", "--fingerprint", fingerprint(fresh))
    assert (changed.returncode, "HAS CHANGED" in changed.stderr) == (77, True), changed.stderr
    assert "ssh-keygen -R 'amanda'" in changed.stderr
    fresh.client.write(KNOWN_HOSTS, f"@revoked * {server_key(fresh)}\n", owner="backup")
    revoked = set_up(fresh, "amanda", "--fingerprint", fingerprint(fresh))
    assert (revoked.returncode, "IS REVOKED" in revoked.stderr) == (77, True), revoked.stderr
    fresh.client.write(KNOWN_HOSTS, f"amanda {kind} {key}\n", owner="backup", mode=0o600)
    assert everything(fresh) == before


def server_key(lab: Lab) -> str:
    """Return the server's public host key."""
    return " ".join(lab.server.read("/etc/ssh/ssh_host_ed25519_key.pub").split()[:2])


def test_a_host_key_that_the_whole_machine_knows_is_accepted(fresh: Lab) -> None:
    """From /etc/ssh/ssh_known_hosts, and hashed; then nobody is asked, and nothing pinned."""
    line = f"amanda {server_key(fresh)}\n"
    fresh.client.write("/etc/ssh/ssh_known_hosts", line)
    fresh.client.run(["ssh-keygen", "-q", "-H", "-f", "/etc/ssh/ssh_known_hosts"])
    fresh.client.path("/etc/ssh/ssh_known_hosts").chmod(0o644)
    done = set_up(fresh, "amanda", "--wait", "1s")
    assert done.returncode == 75, done.stderr
    assert "unchanged: backup knows the host key of amanda" in done.stdout
    assert not fresh.client.path(KNOWN_HOSTS).exists()


@pytest.mark.parametrize("rests", [(), ("id_ed25519.new",), ("id_ed25519.new", ".pub")])
def test_after_a_kill_the_same_command_completes_it(fresh: Lab, rests: tuple[str, ...]) -> None:
    """Wherever it was killed: what is there is taken, half a key is made again."""
    words = ("amanda", "--fingerprint", fingerprint(fresh), "--disk", DISK, "--no-schedule")
    setup = start_setup(fresh, *words)
    line = read_line(setup)
    setup.kill()
    setup.wait()
    if rests:
        fresh.client.remove(CLIENT_TOML)
        fresh.client.path(KEY).rename(fresh.client.path(SSH) / "id_ed25519.new")
        fresh.client.remove(f"{KEY}.pub")
    if ".pub" in rests:  # killed after the private half
        fresh.client.path(f"{KEY}.new").rename(fresh.client.path(SSH) / "id_ed25519")
    setup = start_setup(fresh, *words)
    again = read_line(setup)
    assert (again == line) == (rests != ("id_ed25519.new",))
    done = type_line(fresh, again)
    assert done.returncode == 0, done.stderr
    said, _ = setup.communicate(timeout=60)
    assert setup.returncode == 0, said
    assert fresh.client.read(KNOWN_HOSTS).count("\n") == 1


def test_a_server_that_is_away_for_a_while_is_waited_for(fresh: Lab) -> None:
    """While its host key is not known that is an end with 75; later it is waited for."""
    words = ("amanda", "--fingerprint", fingerprint(fresh), "--no-schedule")
    fresh.server.stop_sshd()
    away = set_up(fresh, *words)
    assert (away.returncode, "could not get a host key" in away.stderr) == (75, True), away.stderr
    assert not fresh.client.path(CLIENT_TOML).exists()
    fresh.server.start_sshd()
    setup = start_setup(fresh, *words)
    line = read_line(setup)
    setup.kill()
    fresh.server.stop_sshd()
    setup = start_setup(fresh, *words)
    assert read_line(setup) == line
    assert type_line(fresh, line).returncode == 0
    assert setup.stdout
    said = ""
    for text in setup.stdout:
        if "refused the connection" in text and "refused the connection" not in said:
            fresh.server.start_sshd()
        said += text
        if "done: the server knows" in said:
            break
    rest, _ = setup.communicate(timeout=60)
    assert setup.returncode == 0, said + rest


def test_what_waiting_does_not_mend_ends_it(fresh: Lab) -> None:
    """A key that opens a shell, a server without asyncamanda, another name, a missing disk."""
    words = ("amanda", "--fingerprint", fingerprint(fresh), "--wait", "1s", "--no-schedule")
    late = set_up(fresh, *words)
    assert (late.returncode, "does not know this machine's key" in late.stderr) == (75, True)
    assert "asyncamanda setup amanda" in late.stderr
    done = enroll(fresh, "--setup")
    assert done.returncode == 0, done.stderr
    other = set_up(fresh, *words, "--name", "tablet")
    assert (other.returncode, "as laptop, not as tablet" in other.stderr) == (78, True)
    missing = set_up(fresh, *words, "--disk", DISK)
    assert (missing.returncode, f"has no {DISK}" in missing.stdout) == (75, True), missing.stderr
    fresh.server.run(["rm", "/usr/local/bin/asyncamanda"])
    gone = set_up(fresh, *words)
    assert (gone.returncode, "is not installed at amanda" in gone.stderr) == (76, True)


def test_a_client_toml_is_never_overwritten_unasked(fresh: Lab) -> None:
    """One for another server or for direct mode stops it; a new one keeps the old one beside it."""
    words = ("amanda", "--fingerprint", fingerprint(fresh), "--wait", "1s", "--no-schedule")
    for text, said in (
        ('server = "backup@other"\n', "for the server backup@other"),
        ('server = "backup@amanda"\ncommand = "amdump daily"\n', "has a `command`"),
        ('server = "backup@amanda"\nintervall = 3\n', "intervall"),
    ):
        fresh.client.write(CLIENT_TOML, text)
        before = everything(fresh)
        done = set_up(fresh, *words)
        assert (done.returncode, said in done.stderr) == (78, True), done.stderr
        assert "--new-client-toml" in done.stderr
        assert everything(fresh) == before
    text = 'server = "amanda"\ninterval = "3h"\n'
    set_up(fresh, *words, "--new-client-toml")  # whatever is wrong with it
    assert "intervall" in fresh.client.read(f"{CLIENT_TOML}.old")
    fresh.client.write(CLIENT_TOML, text)
    kept = set_up(fresh, *words, "--interval", "5h")
    assert (kept.returncode, "kept as it is" in kept.stdout) == (75, True), kept.stderr
    assert fresh.client.read(CLIENT_TOML) == text
    set_up(fresh, *words, "--interval", "5h", "--new-client-toml")
    assert fresh.client.read(f"{CLIENT_TOML}.old") == text
    assert 'interval = "5h"' in fresh.client.read(CLIENT_TOML)


def test_all_mistakes_are_told_at_once(fresh: Lab) -> None:
    """As a usage error, before anything is looked at; and only root may."""
    before = everything(fresh)
    words = ["root:secret@amanda", "--name", "a b", "--disk", "/nosuch", "--disk", "home"]
    words += ["--interval", "often", "--fingerprint", "MD5:x", "--via", "a b", "--wait", "0"]
    done = set_up(fresh, *words)
    assert done.returncode == 64
    for option in (
        "SERVER: ",
        "--name: ",
        "--interval: ",
        "--fingerprint: ",
        "--via: ",
        "--wait: ",
    ):
        assert option in done.stderr, done.stderr
    assert "/nosuch is not on this machine" in done.stderr
    assert "secret" not in done.stderr
    stranger = fresh.client.run([PROGRAM, "setup", "amanda"], user="backup", check=False)
    assert (stranger.returncode, "as root" in stranger.stderr) == (77, True)
    assert everything(fresh) == before


def test_a_link_in_the_amanda_users_folder_is_not_followed(fresh: Lab) -> None:
    """The user may lay one there, and root's setup writes nothing behind it."""
    fresh.client.make_directory(SSH, owner="backup", mode=0o700)
    key = "/root/id_ed25519"
    fresh.client.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])
    fresh.client.path("/root").chmod(0o700)
    fresh.client.write(KEY, "", owner="backup", mode=0o600)
    fresh.client.run(["ln", "-s", f"{key}.pub", f"{KEY}.pub"])
    done = set_up(fresh, "amanda", "--fingerprint", fingerprint(fresh), "--wait", "1s")
    assert done.returncode == 77, done.stdout + done.stderr
    assert not fresh.client.path("/etc/motd.not").exists()
    assert fresh.client.read(f"{key}.pub").split()[1] not in done.stdout + done.stderr
    fresh.client.remove(KEY)
    fresh.client.run(["rm", f"{KEY}.pub"])
    fresh.client.run(["ln", "-s", "/etc/motd.not", KNOWN_HOSTS])
    done = set_up(fresh, "amanda", "--fingerprint", fingerprint(fresh), "--wait", "1s")
    assert (done.returncode, KNOWN_HOSTS in done.stderr) == (77, False), done.stderr
    assert not fresh.client.path("/etc/motd.not").exists()


# -- the server's part


@pytest.fixture
def keyed(fresh: Lab) -> Lab:
    """Yield the same with a key on the client."""
    fresh.client.make_directory(SSH, owner="backup", mode=0o700)
    fresh.client.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", KEY])
    return fresh


def test_enrolling_adds_what_the_disklist_lacks(keyed: Lab) -> None:
    """Quoted as Amanda does, once, and the file keeps whose it is."""
    fresh = keyed
    fresh.server.write(DISKLIST, "# mine\nlaptop /srv/docs roaming", owner="backup", mode=0o640)
    disks = ("/srv/docs", "/srv/d 3", "/srv/#q", "/srv/ü")
    words = [word for disk in disks for word in ("--disk", disk)]
    for _ in range(2):
        done = enroll(fresh, *words, "--setup", "--json", "--dumptype", "roaming-amgtar")
        assert done.returncode == 0, done.stdout + done.stderr
        assert set(json.loads(done.stdout)["disks"]) == set(disks)
    assert json.loads(done.stdout)["changed"] == []
    lines = fresh.server.read(DISKLIST).splitlines()
    assert lines[2:] == [
        'laptop "/srv/d 3" roaming-amgtar',
        'laptop "/srv/#q" roaming-amgtar',
        'laptop "/srv/ü" roaming-amgtar',
    ]
    status, backup = fresh.server.path(DISKLIST).stat(), fresh.server.account("backup")
    assert (status.st_uid, status.st_gid, status.st_mode) == (backup.uid, backup.gid, 0o100640)


def test_enrolling_finds_out_what_is_wrong_before_it_writes(keyed: Lab) -> None:
    """A dumptype that there is not, several configurations, none, a key that is another's."""
    server = keyed.server
    wrong = enroll(keyed, "--disk", DISK, "--dumptype", "roming", "--setup")
    assert (wrong.returncode, "roaming, roaming-amgtar" in wrong.stderr) == (65, True), wrong.stderr
    assert not server.path(SSH).exists()
    server.run(["cp", "-r", "/etc/amanda/daily", "/etc/amanda/weekly"])
    several = enroll(keyed, "--setup")
    assert (several.returncode, "daily, weekly" in several.stderr) == (64, True)
    server.run(["rm", "-r", "/etc/amanda/weekly"])
    assert enroll(keyed, "--setup").returncode == 0
    key = shlex.quote(keyed.client.backup_key)
    line = f"asyncamanda server enroll tablet --disk {DISK} --setup --key {key}"
    taken = type_line(keyed, line)
    assert (taken.returncode, "laptop's already" in taken.stderr) == (77, True), taken.stderr
    assert server.read(DISKLIST) == ""
    server.run(["rm", "-r", "/etc/amanda/daily"])
    none = enroll(keyed)
    assert (none.returncode, "server setup --new-config" in none.stderr) == (65, True)


def test_root_follows_no_link_to_the_disklist(keyed: Lab) -> None:
    """The folder is the Amanda user's, who could lay one; a folder of root's is root's to write."""
    server = keyed.server
    server.write("/etc/list", "# root's\n")
    server.run(["ln", "-sf", "/etc/list", DISKLIST])
    linked = enroll(keyed, "--disk", DISK, "--setup")
    assert (linked.returncode, "by hand" in linked.stderr) == (77, True), linked.stderr
    assert server.read("/etc/list") == "# root's\n"
    server.run(["rm", DISKLIST])
    server.write(DISKLIST, "", mode=0o600)
    server.run(["chgrp", "backup", DISKLIST])
    server.run(["chmod", "640", DISKLIST])
    server.run(["chown", "root", "/etc/amanda/daily"])
    done = enroll(keyed, "--disk", DISK, "--setup")
    assert done.returncode == 0, done.stderr
    status, gid = server.path(DISKLIST).stat(), server.account("backup").gid
    assert (status.st_uid, status.st_gid, status.st_mode) == (0, gid, 0o100640)


def test_root_writes_no_disklist_elsewhere(keyed: Lab) -> None:
    """The Amanda user says where it is, and could name any folder of root's."""
    server, conf = keyed.server, "/etc/amanda/daily/amanda.conf"
    server.append(conf, 'diskfile "/etc/list"\n', owner="backup")
    server.write("/etc/list", "")
    done = enroll(keyed, "--disk", DISK, "--setup")
    assert (done.returncode, "/etc/list cannot be changed" in done.stderr) == (77, True)
    assert server.read("/etc/list") == ""
