"""asyncamanda server setup on a server of its own, and Amanda's own opinion of what it makes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.laptop import Run

from lab import Lab

STATE = "/var/lib/asyncamanda/server"
SERVER_TOML = "/etc/asyncamanda/server.toml"
LINK = "/usr/local/bin/asyncamanda"
PYTHON = "/opt/asyncamanda/bin/python"
NEW = ("--new-config", "mobile", "--vtapes", "/srv/pool/vtapes", "--size", "2GB")


@pytest.fixture(scope="module")
def fresh(lab_prefix: Path) -> Iterator[Lab]:
    """Yield a server on which nothing is as it should be, and a laptop with two disks."""
    with Lab(prefix=lab_prefix) as built:
        server = built.server
        passwd = server.read("/etc/passwd").splitlines()
        lines = [
            f"{line.rpartition(':')[0]}:/usr/sbin/nologin" if line.startswith("backup:") else line
            for line in passwd
        ]
        server.write("/etc/passwd", "\n".join(lines) + "\n")
        home = server.account("backup").home
        server.path(f"{home}/.ssh").chmod(0o755)
        server.remove(f"{home}/.ssh/authorized_keys")
        server.run(["rm", LINK])
        built.client.add_tree("/srv/docs")
        yield built


def set_up(lab: Lab, *words: str, user: str = "root") -> Run:
    """Start `asyncamanda server setup`, by its module: there may be no link to it yet."""
    return lab.server.run(
        [PYTHON, "-m", "asyncamanda", "server", "setup", *words], user=user, check=False
    )


def everything(lab: Lab) -> dict[str, tuple[int, int, bytes]]:
    """Return owner, mode and content of all that setup may touch."""
    server = lab.server
    seen = {}
    for top in ("/etc/asyncamanda", "/etc/amanda", "/var/lib", "/srv", "/var/backups/.ssh"):
        place = server.path(top)
        for path in [place, *place.rglob("*")] if place.exists() else []:
            status = path.lstat()
            content = path.read_bytes() if path.is_file() else b""
            seen[f"{top}/{path.relative_to(place)}"] = (status.st_uid, status.st_mode, content)
    passwd = server.path("/etc/passwd")
    return {
        **seen,
        "passwd": (0, 0, passwd.read_bytes()),
        "link": (0, server.path(LINK).exists(), b""),
    }


def test_nothing_is_changed_unasked(fresh: Lab) -> None:
    """A rehearsal shows every step; where nobody can be asked a yes is needed; root alone may."""
    before = everything(fresh)
    shown = set_up(fresh, "--dry-run", *NEW)
    assert shown.returncode == 0, shown.stderr
    for words in (
        "the account backup has the shell /bin/sh",
        "/var/backups/.ssh is a folder of backup's, mode 0700",
        "/var/backups/.ssh/authorized_keys is a file of backup's, mode 0600",
        f"{STATE} is a folder of backup's, mode 0700",
        SERVER_TOML,
        LINK,
        "/etc/amanda/mobile/amanda.conf",
        "/srv/pool/vtapes/holding is a folder of backup's, mode 0750",
    ):
        assert words in shown.stdout
    unasked = set_up(fresh, *NEW)
    assert (unasked.returncode, "--yes" in unasked.stderr) == (64, True)
    stranger = set_up(fresh, "--dry-run", user="backup")
    assert (stranger.returncode, "as root" in stranger.stderr) == (77, True)
    assert everything(fresh) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--new-config", "mobile"), "must be given together"),
        (("--vtapes", "/srv/x"), "must be given together"),
        (("--new-config", "../x", "--vtapes", "/srv/x", "--size", "2GB"), "--new-config: "),
        (("--new-config", "m", "--vtapes", "srv/x", "--size", "2GB"), "--vtapes is not"),
        (("--new-config", "m", "--vtapes", '/srv/"x', "--size", "2GB"), "--vtapes is not"),
        (("--new-config", "m", "--vtapes", "/srv/x", "--size", "2"), "--size: "),
        (("--new-config", "m", "--vtapes", "/srv/x", "--size", "1GB"), "too little"),
        ((*NEW, "--holding", "/srv/pool/vtapes"), "the same folder"),
    ],
)
def test_what_makes_no_sense_is_told(fresh: Lab, words: tuple[str, ...], said: str) -> None:
    """As a usage error, before anything is looked at."""
    done = set_up(fresh, "--yes", *words)
    assert (done.returncode, said in done.stderr) == (64, True), done.stderr


def answer_setup(lab: Lab, answer: str) -> Run:
    """Start setup on a terminal, and type `answer`."""
    command = f"{PYTHON} -m asyncamanda server setup"
    return lab.server.run(["script", "-qec", command, "/dev/null"], stdin=answer, check=False)


@pytest.mark.parametrize("answer", ["n\n", "\n", "yess\n"])
def test_on_a_terminal_it_asks(fresh: Lab, answer: str) -> None:
    """Once; and whatever is not yes is no."""
    before = everything(fresh)
    done = answer_setup(fresh, answer)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("make these changes? [y/N]") == 1
    assert "nothing was changed" in done.stdout
    assert everything(fresh) == before


@pytest.fixture(scope="module")
def ready(fresh: Lab) -> Lab:
    """Yield the server after setup."""
    done = set_up(fresh, "--yes", *NEW)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "asyncamanda server invite CLIENT --disk /home" in done.stdout
    return fresh


def test_setup_makes_all_that_it_showed(ready: Lab) -> None:
    """Whose everything is, and who may read it."""
    server, backup = ready.server, ready.server.account("backup")
    (line,) = [one for one in server.read("/etc/passwd").splitlines() if one.startswith("backup:")]
    assert line.endswith(":/bin/sh")
    for place, mode in {
        "/var/backups/.ssh": 0o40700,
        "/var/backups/.ssh/authorized_keys": 0o100600,
        STATE: 0o40700,
        "/etc/amanda/mobile": 0o40755,
        "/etc/amanda/mobile/amanda.conf": 0o100644,
        "/etc/amanda/mobile/disklist": 0o100644,
        "/srv/pool/vtapes": 0o40750,
    }.items():
        status = server.path(place).stat()
        assert (status.st_uid, status.st_gid, status.st_mode) == (backup.uid, backup.gid, mode)
    toml = server.path(SERVER_TOML).stat()
    assert (toml.st_uid, toml.st_mode) == (0, 0o100644)
    assert server.run([LINK, "--version"], user="backup").stdout.startswith("asyncamanda ")


def test_a_second_time_nothing_is_left_to_change(ready: Lab) -> None:
    """Also when the disklist and server.toml have lines of the administrator's by now."""
    ready.server.append("/etc/amanda/mobile/disklist", "# mine\n", owner="backup")
    ready.server.write(SERVER_TOML, "max_runs = 2\n")
    before = everything(ready)
    for words in (NEW, (), ("--dry-run",)):
        done = set_up(ready, *words)
        assert (done.returncode, "nothing to change" in done.stdout) == (0, True), done.stderr
    assert everything(ready) == before


def test_a_yes_on_a_terminal_mends_what_was_spoilt(ready: Lab) -> None:
    """Only that."""
    before = everything(ready)
    ready.server.path(STATE).chmod(0o755)
    done = answer_setup(ready, "y\n")
    assert (done.returncode, "done" in done.stdout) == (0, True), done.stdout
    assert everything(ready) == before


def test_an_amanda_config_of_somebody_elses_is_left_alone(ready: Lab) -> None:
    """By its name, or by a folder that has other things in it."""
    before = everything(ready)
    rest = ("--yes", "--size", "2GB")
    taken = set_up(ready, "--new-config", "daily", "--vtapes", "/srv/more", *rest)
    assert (taken.returncode, "/etc/amanda/daily/amanda.conf exists" in taken.stderr) == (77, True)
    in_use = set_up(ready, "--new-config", "other", "--vtapes", "/srv", *rest)
    assert (in_use.returncode, "/srv is not backup's" in in_use.stderr) == (77, True)
    assert everything(ready) == before


def test_a_link_in_the_way_is_not_followed(ready: Lab) -> None:
    """The Amanda user may lay one in its own folder, and root's setup gives nothing away by it."""
    keys = "/var/backups/.ssh/authorized_keys"
    ready.server.run(["ln", "-sf", "/etc/shadow", keys])
    before = ready.server.path("/etc/shadow").stat()
    done = set_up(ready, "--yes")
    after = ready.server.path("/etc/shadow").stat()
    ready.server.run(["rm", keys])
    assert (done.returncode, keys in done.stderr) == (77, True), done.stderr
    assert (before.st_uid, before.st_mode) == (after.st_uid, after.st_mode)
    assert set_up(ready, "--yes").returncode == 0


@pytest.fixture(scope="module")
def listed(ready: Lab) -> Lab:
    """Yield the server with a disk of the laptop's in its new disklist."""
    lines = "laptop /srv/docs roaming\n"
    ready.server.append("/etc/amanda/mobile/disklist", lines, owner="backup")
    return ready


def test_amanda_takes_the_new_configuration(listed: Lab) -> None:
    """amcheck passes; a run without a taper holds a full; a flush spreads it over volumes."""
    server = listed.server
    check = server.amanda("amcheck", "-s", "mobile", check=False)
    assert (check.returncode, "ERROR" in check.stdout) == (0, False), check.stdout
    listed.client.add_tree("/srv/docs", files=1, bytes_each=100_000_000)  # more than a volume has
    dumped = server.amanda("amdump", "mobile", "--no-taper", "--exact-match", "laptop", check=False)
    found = server.amanda("amadmin", "mobile", "find").stdout
    assert (dumped.returncode, "HOLDING" in found) == (0, True), found
    assert server.amanda("amflush", "-b", "-f", "mobile", check=False).returncode == 0
    found = server.amanda("amadmin", "mobile", "find").stdout
    assert "HOLDING" not in found
    assert {"mobile-001", "mobile-002"} <= set(found.split())


def test_a_threshold_keeps_amflush_from_writing_too(listed: Lab) -> None:
    """Why the new configuration has none: amflush ends with 0 and has written nothing.

    On the command line, too, a threshold of nothing lets it write.
    """
    server, conf = listed.server, "/etc/amanda/mobile/amanda.conf"
    ours = server.read(conf)
    thresholds = ("flush-threshold-dumped", "flush-threshold-scheduled", "taperflush")
    server.append(conf, "".join(f"{name} 100\n" for name in thresholds), owner="backup")
    server.amanda("amdump", "mobile", "--no-taper", "--exact-match", "laptop")
    server.amanda("amflush", "-b", "-f", "mobile")
    held = server.amanda("amadmin", "mobile", "find").stdout
    server.amanda("amflush", "-b", "-f", *(f"-o{name}=0" for name in thresholds), "mobile")
    stored = server.amanda("amadmin", "mobile", "find").stdout
    server.write(conf, ours, owner="backup")
    assert ("HOLDING" in held, "HOLDING" in stored) == (True, False), held + stored


def test_enrolling_says_what_is_missing_in_the_disklist(listed: Lab) -> None:
    """A client without a disk is enrolled, and the line that it needs is shown."""
    for client, has_disk in (("laptop", True), ("laptop2", False)):
        key = f"/srv/{client}"
        listed.server.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])
        words = ("server", "enroll", client, "--amanda-config", "mobile", "--key", f"{key}.pub")
        done = listed.server.run([LINK, *words], check=False)
        assert done.returncode == 0, done.stderr
        assert ("disks: /srv/docs" in done.stdout) == has_disk
        assert (f"  {client} /home roaming" in done.stderr) != has_disk


# -- a machine without Amanda

WITHOUT = """\
mkdir /srv/sbin && cp -a /usr/sbin/. /srv/sbin && rm /srv/sbin/amdump
mount --bind /srv/sbin /usr/sbin
"""
APT = """\
#!/bin/sh
echo "$*" >> /srv/apt
[ -e /srv/no-network ] && { echo "E: Unable to locate package" >&2; exit 100; }
umount /usr/sbin
"""


def test_without_amanda_it_offers_to_install_it(lab_prefix: Path) -> None:
    """A no, an apt that fails, and nobody to ask: nothing is set up, and that is no success."""
    with Lab(prefix=lab_prefix) as lab:
        server = lab.server
        server.remove("/var/backups/.ssh/authorized_keys")
        server.write("/usr/local/sbin/apt-get", APT, mode=0o755)
        server.run(["sh", "-c", WITHOUT])
        shown = set_up(lab, "--dry-run")
        assert (shown.returncode, "apt install amanda-server" in shown.stdout) == (0, True)
        unasked = set_up(lab)
        assert (unasked.returncode, "not an Amanda server" in unasked.stderr) == (78, True)
        declined = answer_setup(lab, "n\n")
        assert declined.returncode == 78, declined.stdout
        words = ["server", "enroll", "laptop", "--key", lab.client.backup_key, "--setup"]
        enrolled = server.run([PYTHON, "-m", "asyncamanda", *words], check=False)
        assert (enrolled.returncode, "not an Amanda server" in enrolled.stderr) == (78, True)
        assert not server.path("/srv/apt").exists()
        server.write("/srv/no-network", "")
        failed = set_up(lab, "--yes")
        assert (failed.returncode, "Unable to locate package" in failed.stderr) == (77, True)
        assert not server.path(STATE).exists()
        server.run(["rm", "/srv/no-network"])
        done = set_up(lab, "--yes")
        assert done.returncode == 0, done.stdout + done.stderr
        assert server.read("/srv/apt").splitlines()[-1] == "install --yes amanda-server"
        assert "installed: amanda-server" in done.stdout


def test_it_ends_with_how_a_client_comes_to_it(lab_prefix: Path) -> None:
    """One command here; a name of a configuration where there are several."""
    with Lab(prefix=lab_prefix) as lab:
        lab.server.run(["rm", "-r", "/etc/amanda/daily"])
        none = set_up(lab, "--yes").stdout
        assert "asyncamanda server setup --new-config NAME --vtapes DIR --size SIZE" in none
        one = set_up(lab, "--yes", *NEW).stdout
        assert "asyncamanda server invite CLIENT --disk /home" in one
        assert "--amanda-config" not in one + none
        lab.server.run(["cp", "-r", "/etc/amanda/mobile", "/etc/amanda/other"])
        assert "--amanda-config NAME to that command: mobile, other" in set_up(lab, "--yes").stdout


def test_a_single_configuration_needs_no_name(ready: Lab) -> None:
    """Of several, one has to be named."""
    several = ready.server.run([LINK, "server", "flush"], check=False)
    assert (several.returncode, "daily, mobile" in several.stderr) == (64, True), several.stderr
    ready.server.run(["mv", "/etc/amanda/daily", "/srv/daily"])
    try:
        done = ready.server.run([LINK, "server", "flush"], check=False)
    finally:
        ready.server.run(["mv", "/srv/daily", "/etc/amanda/daily"])
    assert done.returncode == 0, done.stderr
