"""A server is exported and imported: where there is no room, something is in the way, or evil.

Amanda's configuration, sshd and the ledger are real ones.
"""

import base64
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.system.exported import FILE, LOGDIR, PROGRAM, PYTHON, STATE, open_exported
from tests.system.exports import CONFIG, EXPORT_HEAD, FILES, pack, plan_entries
from tests.system.watching import until

from asyncamanda.core.export.daily import ExportOrder, render_export_order
from asyncamanda.core.export.manifest import render_head
from lab import Host


@pytest.fixture(scope="module")
def server(installed: Path) -> Iterator[Host]:
    """Yield a server that was exported."""
    with open_exported(installed) as host:
        yield host


def run(server: Host, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run asyncamanda as root, and return how it ended."""
    return server.run([PROGRAM, "server", *words], check=False)


@pytest.mark.parametrize("spare", [0, 60_000, 180_000])
def test_an_export_without_room_leaves_the_last_one(server: Host, spare: int) -> None:
    """Whether there is none for the ledger's copy or for what is written."""
    server.run(["sh", "-c", f"head -c 400000 /dev/urandom >{LOGDIR}/log.20261130200001.0"])
    before = server.path(FILE).read_bytes()
    server.fill_disk(spare)
    try:
        done = run(server, "export", FILE)
        assert done.returncode == 77, done
        assert re.search("No space left|disk is full", done.stderr), done
        assert [path.name for path in server.path("/srv/out").iterdir()] == [Path(FILE).name]
        assert server.path(FILE).read_bytes() == before
        assert not server.path(f"{STATE}/.export").exists()
        done = run(server, "import", FILE, "--force")
        assert (done.returncode, "are free" in done.stderr) == (77, True), done
        assert not [*server.path("/etc/amanda").glob("*.before*")]
    finally:
        server.free_disk()
        server.remove(f"{LOGDIR}/log.20261130200001.0")
    assert run(server, "export", FILE, "--host-keys").returncode == 0
    assert run(server, "import", "--look", FILE).returncode == 0


def test_what_is_there_is_refused_or_set_aside(server: Host) -> None:
    """Registry, ledger and configuration; nothing is changed without --force."""
    registry = "/var/backups/.ssh/authorized_keys"
    server.append(registry, "ssh-ed25519 AAAA somebody\n", owner="backup")
    before = server.read(registry)
    done = run(server, "import", FILE)
    assert done.returncode == 65, done
    for place in ("/etc/amanda/daily", f"{STATE}/ledger.sqlite", registry):
        assert place in done.stderr, done
    assert server.read(registry) == before
    done = run(server, "import", FILE, "--force")
    assert done.returncode == 0, done
    assert sorted(server.read(registry).splitlines()) == sorted(before.splitlines())
    asides = [path.name for path in server.path("/etc/amanda").glob("*~before-import-*")]
    assert len(asides) == 2, asides  # daily, base.conf
    said = json.loads(run(server, "export", "/srv/out/again", "--json").stdout)
    assert said["configs"] == ["daily"], "what was set aside is no configuration"
    server.remove("/srv/out/again")
    assert [*server.path(STATE).glob("ledger.sqlite~before-import-*")]
    server.run(["amadmin", "daily", "disklist", "laptop"], user="backup")


def test_which_volumes_are_kept_for_lost_clients_goes_along(server: Host) -> None:
    """Else nobody would know which ones Amanda is to use again once that is over."""
    kept = f"{STATE}/kept-volumes/daily/laptop"
    server.write(kept, "daily-001\n", owner="backup", mode=0o600)
    export = "/srv/out/kept.tar.gz"
    assert run(server, "export", export).returncode == 0
    server.remove(f"{STATE}/kept-volumes")
    assert run(server, "import", export, "--force").returncode == 0
    assert server.read(kept) == "daily-001\n"
    assert server.path(kept).stat().st_uid == server.account("backup").uid
    server.remove(export)


def test_an_import_that_had_let_clients_in_writes_nothing_again(server: Host) -> None:
    """A kill came before its mark was gone; what clients have done since is not to be lost."""
    assert run(server, "import", FILE, "--force").returncode == 0
    script = (
        "from pathlib import Path; "
        "from asyncamanda.server.export.verified import ExportFile, verify; "
        f"print(verify(ExportFile(Path('{FILE}'))).digest)"
    )
    server.write("/etc/asyncamanda/import.begun", server.run([PYTHON, "-c", script]).stdout)
    ledger = server.path(f"{STATE}/ledger.sqlite").stat().st_ino
    done = run(server, "import", FILE)
    assert (done.returncode, "1 client may come in" in done.stdout) == (0, True), done
    assert server.path(f"{STATE}/ledger.sqlite").stat().st_ino == ledger
    assert not server.path("/etc/asyncamanda/import.begun").exists()


def test_host_keys_may_come_from_another_export(server: Host) -> None:
    """The day's has none; what the machine had is kept. An export without any is refused."""
    place = "/etc/ssh/ssh_host_ed25519_key"
    key = server.read(place)
    assert run(server, "export", "/srv/out/daily", "--encrypt-to", f"{place}.pub").returncode == 0
    server.run(["sh", "-c", f"cp {place} /srv/identity; cp /srv/fresh-key {place}"])
    words = ("/srv/out/daily", "--identity", "/srv/identity", "--force", "--host-keys-from")
    done = run(server, "import", *words, "/srv/out/daily")
    assert (done.returncode, "has no host keys" in done.stderr) == (77, True), done
    assert server.read(place) != key
    done = run(server, "import", *words, FILE)
    assert (done.returncode, "systemctl restart ssh" in done.stdout) == (0, True), done
    assert server.read(place) == key
    assert server.path(place).stat().st_mode & 0o777 == 0o600
    asides = [*server.path("/etc/ssh").glob("ssh_host_ed25519_key~before-import-*")]
    assert [path.read_text() for path in asides] == [server.read("/srv/fresh-key")]
    server.remove("/srv/out/daily")


def test_a_days_export_that_fails_is_shown_by_doctor(server: Host) -> None:
    """With why, until one is made; a second process that waits for the same ends at once."""
    toml, folder, note = "/etc/asyncamanda/server.toml", "/srv/nowhere", f"{STATE}/last-export.json"
    before = server.read(toml)
    order = ExportOrder("daily", "backup", f"{STATE}/ledger.sqlite", folder, 3, ())
    argv, text = [PROGRAM, "server", "daily"], render_export_order(order)
    server.run(argv, user="backup", stdin=text)
    assert "cannot be written" in server.read(f"{STATE}/export.log")
    server.write(toml, f'{before}[export]\nfolder = "{folder}"\n')
    done = run(server, "doctor")
    shown = " ".join(done.stdout.split())
    assert done.returncode == 78
    assert re.search(rf"export +failed .* ago: {folder}/asyncamanda-amanda-\d+.tar.gz", shown), (
        shown
    )
    server.make_directory(folder, owner="backup")
    waiting = server.start(argv, user="backup", stdin=subprocess.PIPE)
    assert waiting.stdin
    waiting.stdin.write(text)
    waiting.stdin.close()
    lock = server.path(f"{STATE}/daily.lock")
    until(lambda: bool(lock.read_text()), "one waits for the hour to be over", 20)
    server.run(argv, user="backup", stdin=text)
    assert waiting.poll() is None
    waiting.kill()
    waiting.wait()
    server.remove(note)
    server.run(argv, user="backup", stdin=text)
    assert "asyncamanda-amanda-" in json.loads(server.read(note))["path"]
    assert f"old: {folder}/" in " ".join(run(server, "doctor").stdout.split())
    server.write(toml, before)


def test_places_that_an_export_names_give_it_no_more_rights(server: Host, tmp_path: Path) -> None:
    """They are written as the Amanda user: one that is root's is refused, and all is undone."""
    for number, place in enumerate(("/etc/cron.d", "/usr/local/lib/new", "/root/x/y")):
        config = replace(CONFIG, places={**CONFIG.places, "log": place})
        head = render_head(replace(EXPORT_HEAD, configs=(config,)))
        (tmp_path / "evil").write_bytes(pack(plan_entries(head=head)))
        server.run(["sh", "-c", "base64 -d >/srv/evil"], stdin=_encode(tmp_path / "evil"))
        done = run(server, "import", "/srv/evil", "--force")
        assert done.returncode == 77, done
        assert not [*server.path("/etc/cron.d").glob("log.*")]
        assert not server.path("/usr/local/lib/new").exists()
        assert "--client laptop" in server.read("/var/backups/.ssh/authorized_keys")
        assert server.read("/etc/asyncamanda/server.toml") == "max_runs = 2\n", number
        assert "base.conf" in {path.name for path in server.path("/etc/amanda").iterdir()}


def test_neither_the_account_nor_who_comes_in_is_a_foreign_exports_to_say(
    server: Host, tmp_path: Path
) -> None:
    """Another user's files are not the Amanda user's, and a key's line is no log."""
    key = "amanda/daily/tapelist/authorized_keys"
    place = "/proc/self/root/var/backups/.ssh/authorized_keys"
    config = replace(CONFIG, places={**CONFIG.places, "tapelist": place})
    head = render_head(replace(EXPORT_HEAD, configs=(config,)))
    before = server.read("/var/backups/.ssh/authorized_keys")
    for files, words in (
        ({"server.toml": b'user = "games"\n'}, "user is games"),
        ({key: b"ssh-ed25519 AAAA x\n"}, "/var/backups/.ssh"),
    ):
        (tmp_path / "evil").write_bytes(pack(plan_entries({**FILES, **files}, head)))
        server.run(["sh", "-c", "base64 -d >/srv/evil"], stdin=_encode(tmp_path / "evil"))
        done = run(server, "import", "/srv/evil", "--force")
        assert (done.returncode, words in done.stderr) == (77, True), done
        assert server.read("/var/backups/.ssh/authorized_keys") == before
        assert server.read("/etc/asyncamanda/server.toml") == "max_runs = 2\n"


def _encode(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def test_only_who_may_reads_and_writes(server: Host) -> None:
    """Host keys are root's; an import changes root's files; an export is no text."""
    words = [PROGRAM, "server"]
    for more in (["export", "/tmp/x", "--host-keys"], ["import", FILE]):  # noqa: S108 - the host's
        assert server.run([*words, *more], user="backup", check=False).returncode == 77
    piped = server.run(["sh", "-c", f"{PROGRAM} server export - | {PYTHON} -m gzip -t || true"])
    assert "Traceback" not in piped.stderr
    script = f"{PROGRAM} server export - >/tmp/by-backup && stat -c %s /tmp/by-backup"
    assert int(server.run(["sh", "-c", script], user="backup").stdout) > 1000
    assert server.run([*words, "export", "-", "--json"], check=False).returncode == 64
