"""What dumps leave out: caches and trash, and what client.toml says; in real dumps."""

from pathlib import Path

import pytest
from tests.e2e.laptop import ASYNCAMANDA, ask_json
from tests.e2e.office import Office, open_office

from asyncamanda.core.amanda.excludes import CLIENT_LIST
from lab import Host

NEW = ("--new-config", "mobile", "--vtapes", "/srv/pool/vtapes", "--size", "20GB")
DISK = "/srv/home"
KEPT = {"ana/letter", "ana/cache/kept", "ana/.config/kept", "ana/Trash/kept", "bob/VMs/kept"}
USUAL = {
    "ana/.cache/x/y",
    "bob/.cache/z",
    "ana/.local/share/Trash/files/old",
    ".Trash-1000/old",
    "ana/.thumbnails/big/1.png",
    "ana/.var/app/org.browser/cache/1",
}
OWN = {"ana/debian.iso", "bob/deep/er/x.iso", "ana/VMs/disk", "bob/odd name/x"}
PATTERNS = ["*.iso", "./ana/VMs", "odd name"]


def back_up(office: Office) -> None:
    """Make a backup."""
    run = office.backup("laptop", "--force")
    assert run.returncode == 0, run.stderr + office.diary


def restored(laptop: Host, number: int) -> set[str]:
    """Return the files that the newest backup gives back, by their paths in the disk."""
    place = f"{DISK}-{number}"
    done = laptop.run([ASYNCAMANDA, "restore", DISK, "--to", place])
    said = " ".join((done.stdout + done.stderr).split())
    assert "what is excluded from its backups is not among it" in said
    return {path.removeprefix("home/") for path in laptop.tree(place)}


@pytest.mark.parametrize("dumptype", ["roaming", "roaming-gnutar"])
def test_what_is_left_out_is_in_no_dump(lab_prefix: Path, dumptype: str) -> None:
    """By name, in a full and in an incremental one, by amgtar and by GNUTAR; status tells it."""
    with open_office(lab_prefix, "laptop") as office:
        laptop, server = office.client("laptop"), office.server
        for path in KEPT | USUAL | OWN:
            laptop.make_directory(f"{DISK}/{path.rpartition('/')[0]}".rstrip("/"))
            laptop.write(f"{DISK}/{path}", path)
        home = server.account("backup").home
        server.write(f"{home}/.ssh/authorized_keys", "", owner="backup", mode=0o600)
        office.configure()
        office.ask("server", "setup", "--yes", *NEW)
        words = ["--amanda-config", "mobile", "--key", laptop.backup_key, "--disk", DISK]
        office.ask("server", "enroll", "laptop", *words, "--dumptype", dumptype)
        office.configure_agent(laptop)
        back_up(office)
        assert restored(laptop, 1) == KEPT | OWN
        office.configure_agent(laptop, exclude=PATTERNS)
        for path in ("ana/letter2", "ana/new.iso", "bob/.cache/new"):
            laptop.write(f"{DISK}/{path}", path)
        for path in OWN:
            laptop.write(f"{DISK}/{path}", "changed")
        back_up(office)
        # tar lists files that are left out since then as unchanged: so they come back as before
        files = {path for path in OWN if path.endswith(".iso")}
        assert restored(laptop, 2) == KEPT | files | {"ana/letter2"}
        assert {laptop.read(f"{DISK}-2/home/{path}") for path in files} == files
        assert laptop.read(CLIENT_LIST).splitlines() == PATTERNS
        assert ask_json(laptop, "status")["exclude"] == PATTERNS
        shown = laptop.run([ASYNCAMANDA, "status"], check=False).stdout
        assert "left out by client.toml: *.iso, ./ana/VMs, odd name" in " ".join(shown.split())
        office.configure_agent(laptop)
        back_up(office)
        assert not laptop.read(CLIENT_LIST)
