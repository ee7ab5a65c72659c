"""Ways to break a client, each with what the doctor has to say of it."""

from dataclasses import dataclass, field
from datetime import timedelta

SOCKETS = "/etc/systemd/system/amanda-test.target.wants"
CRON = "/etc/cron.d/asyncamanda"
TOML = "/etc/asyncamanda/client.toml"
AMANDA = "/var/lib/amanda"
AMANDATES = f"{AMANDA}/amandates"
LISTS = f"{AMANDA}/gnutar-lists"
LOGS = "/var/log/amanda"
PROGRAMS = "/usr/lib/amanda"
AMANDAD = "/srv/amandad"
SECURITY = "/etc/amanda-security.conf"
SSH = "/var/backups/.ssh"
KEY = f"{SSH}/id_ed25519"
MEMORY = "/var/lib/asyncamanda/client/memory.json"
LIST = "/etc/amanda/daily/disklist"


@dataclass(frozen=True)
class Break:
    """Damage: a shell's words `on` the laptop or `at` the server, and how they are undone."""

    on: str = ""
    undo: str = ":"
    at: str = ""
    undo_at: str = ":"
    settings: dict[str, object] = field(default_factory=dict)
    user: str = "root"
    later: timedelta = timedelta()  # that it is by now, everywhere


PLACES = {
    "known": f"{SSH}/known_hosts",
    "keys": f"{SSH}/authorized_keys",  # of the server's
    "toml": TOML,
}


def fill(words: str) -> str:
    """Return `words` with the PLACES in them."""
    for name, place in PLACES.items():
        words = words.replace(f"{{{name}}}", place)
    return words


def moved(path: str, then: str = ":") -> Break:
    """Return the loss of a file, with what takes its place."""
    return Break(f"mv {path} {path}.x; {then}", f"rm -rf {path}; mv {path}.x {path}")


def owned(path: str, owner: str, mode: str) -> Break:
    """Return a change of owner and mode."""
    return Break(
        f"stat -c '%u:%g %a' {path} >/srv/was; chown {owner} {path}; chmod {mode} {path}",
        f"read o m </srv/was; chown $o {path}; chmod $m {path}",
    )


def covered(path: str, make: str) -> Break:
    """Return a program that is replaced by what `make` makes of its copy at /srv/copy."""
    return Break(f"cp -p {path} /srv/copy; {make}; mount --bind /srv/copy {path}", f"umount {path}")


def rewritten(path: str, command: str) -> Break:
    """Return a file that `command` changes in its place."""
    return Break(f"cp -p {path} {path}.was; {command}", f"cat {path}.was >{path}; rm {path}.was")


def at_server(path: str, command: str) -> Break:
    """Return a file of the server's that `command` changes in its place."""
    broken = rewritten(path, command)
    return Break(at=broken.on, undo_at=broken.undo)


def at_server_soon(path: str, line: str) -> Break:
    """Return a line more in a file of the server's, which reads it every 5 seconds at most."""
    broken = rewritten(path, f"echo '{line}' >>{path}; sleep 5")
    return Break(at=broken.on, undo_at=f"{broken.undo}; sleep 5")


def amandad(make: str) -> Break:
    """Return an amandad of another place, that `make` makes."""
    return Break(
        make, f"umount {AMANDAD} 2>/dev/null || :; rm -rf {AMANDAD}", settings={"amandad": AMANDAD}
    )


def in_memory(age: str) -> Break:
    """Return a memory in which all that was confirmed is so old."""
    change = (
        f"from datetime import datetime as d, timedelta as t, UTC; import json; "
        f'p = "{MEMORY}"; m = json.load(open(p)); '
        f"o = (d.now(UTC) - t({age})).isoformat(); "
        '[x.update(started_at=o) for x in m["confirmed"]]; json.dump(m, open(p, "w"))'
    )
    return rewritten(MEMORY, f"python3 -c '{change}'")


def forced(command: str) -> Break:
    """Return a key at the server that runs something else than the gate."""
    return at_server("{keys}", f'sed -i \'s|command="[^"]*"|command="{command}"|\' {{keys}}')


BAD, WARNING, ABSENT = "bad", "warning", "absent"
INETD = "amanda stream tcp nowait backup /usr/lib/amanda/amandad amandad -auth=bsdtcp amdump"

BROKEN: dict[str, tuple[Break, dict[str, str], str, int]] = {
    "read-only": (
        Break(
            f"mount --bind {AMANDA} {AMANDA}; mount -o remount,bind,ro {AMANDA}",
            f"umount {AMANDA}",
        ),
        {"amandates": BAD, "gnutar-lists": BAD},
        "remount,rw",
        78,
    ),
    "sendbackup that does not run": (
        covered(f"{PROGRAMS}/sendbackup", "printf '#!/no/such/shell\\n' >/srv/copy"),
        {"programs": BAD},
        "sendbackup cannot be started",
        78,
    ),
    "start-without-a-program": (
        rewritten(CRON, f"sed -i 's|/usr/local/bin/|/opt/gone/|' {CRON}"),
        {"schedule": BAD},
        "/opt/gone/asyncamanda is not there",
        78,
    ),
    "start-without-a-user": (
        rewritten(CRON, f"sed -i 's| root | nobody-such |' {CRON}"),
        {"schedule": BAD},
        "there is no user nobody-such",
        78,
    ),
    "start-without-a-path": (
        rewritten(CRON, f"sed -i 's|/usr/local/bin/||' {CRON}"),
        {"schedule": BAD},
        "no asyncamanda in its PATH, /usr/bin:/bin",
        78,
    ),
    "inetd": (
        rewritten("/etc/inetd.conf", f"echo '{INETD}' >>/etc/inetd.conf"),
        {"inetd": WARNING},
        "update-inetd --disable amanda",
        0,
    ),
    "a socket of systemd's": (
        Break(f"mkdir -p {SOCKETS}; ln -s /nowhere {SOCKETS}/amanda.socket", f"rm -r {SOCKETS}"),
        {"inetd": WARNING},
        "systemctl disable --now amanda.socket",
        0,
    ),
    "no configuration": (moved(TOML), {"configuration": BAD}, "asyncamanda setup", 78),
    "a mistake in it": (
        Break(settings={"interval": "soon", "watch": "most"}),
        {"configuration": BAD},
        "watch",
        78,
    ),
    "no such user": (Break(settings={"user": "amanda"}), {"user": BAD}, "no user 'amanda'", 78),
    "user without its group": (
        rewritten("/etc/group", "sed -i '/^disk:/s/backup//' /etc/group"),
        {"user": WARNING},
        "adduser backup disk",
        0,
    ),
    "a file in the place of the state": (
        moved("/var/lib/asyncamanda/client", "touch /var/lib/asyncamanda/client"),
        {"state": BAD},
        "/var/lib/asyncamanda/client",
        78,
    ),
    "root's state": (
        Break(
            owned("/var/lib/asyncamanda/client", "root", "755").on,
            owned("/var/lib/asyncamanda/client", "root", "755").undo,
            user="backup",
        ),
        {"state": BAD},
        "chown -R backup: /var/lib/asyncamanda/client",
        78,
    ),
    # -- Amanda
    "no amandad": (amandad(":"), {"amanda-client": BAD}, "apt install amanda-client", 78),
    "amandad not executable": (
        amandad(f"cp {PROGRAMS}/amandad {AMANDAD}; chmod 644 {AMANDAD}"),
        {"amanda-client": BAD},
        "chmod 755",
        78,
    ),
    "amandad on noexec": (
        amandad(
            f"cp {PROGRAMS}/amandad {AMANDAD}; mount --bind {AMANDAD} {AMANDAD}; "
            f"mount -o remount,bind,noexec {AMANDAD}"
        ),
        {"amanda-client": BAD},
        "remount,exec",
        78,
    ),
    "amandad without a library": (
        amandad(
            f"sed s/libamandad-/libamandax-/g {PROGRAMS}/amandad >{AMANDAD}; chmod 755 {AMANDAD}"
        ),
        {"amandad": BAD},
        "lacks the library libamandax-3.5.",
        78,
    ),
    "amandad for another machine": (
        amandad(f"head -c 99 /dev/urandom >{AMANDAD}; chmod 755 {AMANDAD}"),
        {"amandad": BAD},
        "Exec format error",
        78,
    ),
    "amandad that fails": (
        amandad(f"printf '#!/bin/sh\\necho oops >&2; exit 3' >{AMANDAD}; chmod 755 {AMANDAD}"),
        {"amandad": BAD},
        "status 3: oops",
        78,
    ),
    "amandad that hangs": (
        amandad(f"printf '#!/bin/sh\\nexec sleep 60' >{AMANDAD}; chmod 755 {AMANDAD}"),
        {"amandad": BAD},
        "did not end within",
        75,
    ),
    "amanda-client.conf": (
        Break("echo nonsense >/etc/amanda/amanda-client.conf", "rm /etc/amanda/amanda-client.conf"),
        {"amanda-conf": BAD},
        "not a keyword",
        78,
    ),
    "runtar without setuid": (
        covered(f"{PROGRAMS}/runtar", "chmod 755 /srv/copy"),
        {"programs": BAD},
        f"chmod 4754 {PROGRAMS}/runtar",
        78,
    ),
    "rundump of another group": (
        covered(f"{PROGRAMS}/rundump", "chown root:root /srv/copy; chmod 4754 /srv/copy"),
        {"programs": BAD},
        f"chown root:backup {PROGRAMS}/rundump",
        78,
    ),
    "runtar for anybody": (
        covered(f"{PROGRAMS}/runtar", "chmod 4755 /srv/copy"),
        {"programs": WARNING},
        f"chmod 4754 {PROGRAMS}/runtar",
        0,
    ),
    "runtar others can write": (
        covered(f"{PROGRAMS}/runtar", "chmod 4774 /srv/copy"),
        {"programs": BAD},
        "others can write it",
        78,
    ),
    "tar not executable": (
        covered("/usr/bin/tar", "chmod 644 /srv/copy"),
        {"tar": BAD},
        "apt install --reinstall tar",
        78,
    ),
    "another tar": (
        covered("/usr/bin/tar", "printf '#!/bin/sh\\necho bsdtar 3' >/srv/copy"),
        {"tar": BAD},
        "is not GNU tar: bsdtar 3",
        78,
    ),
    "no amanda-security.conf": (moved(SECURITY), {"tar": BAD}, "No such file", 78),
    "everybody's amanda-security.conf": (owned(SECURITY, "root", "666"), {"tar": BAD}, "0666", 78),
    "amanda-security.conf without tar": (
        rewritten(SECURITY, f"sed -i 's,=.*tar,=/opt/tar,' {SECURITY}"),
        {"tar": BAD},
        "runtar:gnutar_path=/usr/bin/tar amgtar:gnutar_path=/usr/bin/tar",
        78,
    ),
    "amanda-security.conf without amgtar": (
        rewritten(SECURITY, f"sed -i 's,^amgtar.*=.*tar,&x,' {SECURITY}"),
        {"tar": WARNING},
        "amgtar:gnutar_path=/usr/bin/tar",
        0,
    ),
    "amanda-security.conf of root alone": (
        owned(SECURITY, "root", "600"),
        {"tar": BAD},
        f"chmod 644 {SECURITY}",
        78,
    ),
    "everybody's tar": (
        covered("/usr/bin/tar", "chmod 777 /srv/copy"),
        {"tar": BAD},
        "chmod go-w /usr/bin/tar",
        78,
    ),
    # -- files
    "no amandates": (moved(AMANDATES), {"amandates": BAD}, "install -o backup", 78),
    "amandates a folder": (
        moved(AMANDATES, f"mkdir {AMANDATES}"),
        {"amandates": BAD},
        "is a folder",
        78,
    ),
    "amandates a pipe": (
        moved(AMANDATES, f"mkfifo -m 666 {AMANDATES}"),
        {"amandates": BAD},
        "neither a file nor a folder",
        78,
    ),
    "amandates a link": (
        moved(AMANDATES, f"ln -s /nowhere {AMANDATES}"),
        {"amandates": BAD},
        "a link to /nowhere",
        78,
    ),
    "root's amandates": (
        owned(AMANDATES, "root:root", "644"),
        {"amandates": BAD},
        f"chown backup: {AMANDATES}",
        78,
    ),
    "Amanda's folder closed": (
        owned(AMANDA, "root:root", "700"),
        {"amandates": BAD, "gnutar-lists": BAD},
        "Permission denied",
        78,
    ),
    "junk in amandates": (
        rewritten(AMANDATES, f"echo junk >>{AMANDATES}"),
        {"amandates": WARNING},
        ": no disk name",
        0,
    ),
    "amandates of the future": (
        rewritten(AMANDATES, f"echo /srv/docs 1 4102444800 >>{AMANDATES}"),
        {"amandates": WARNING},
        "2100-01-01 00:00 UTC",
        0,
    ),
    "another amandates": (
        Break(settings={"amandates": "/srv/amandates"}),
        {"amandates": WARNING},
        f'amandates = "{AMANDATES}"',
        0,
    ),
    "another amandates, in direct mode": (
        Break(settings={"amandates": "/srv/amandates", "command": "amdump daily"}),
        {"amandates": BAD},
        f'amandates = "{AMANDATES}"',
        78,
    ),
    "no gnutar-lists": (moved(LISTS), {"gnutar-lists": BAD}, "install -d -o backup", 78),
    "root's gnutar-lists": (
        owned(LISTS, "root:root", "755"),
        {"gnutar-lists": BAD},
        f"chown -R backup: {LISTS}",
        78,
    ),
    "root's logs": (owned(LOGS, "root:root", "755"), {"logs": BAD}, f"chown -R backup: {LOGS}", 78),
    "amandad's logs root's": (
        owned(f"{LOGS}/amandad", "root:root", "755"),
        {"logs": BAD},
        f"chown -R backup: {LOGS}/amandad",
        78,
    ),
    "root's temporary folder": (
        owned("/tmp/amanda", "root:root", "755"),  # noqa: S108 - the lab's own
        {"logs": BAD},
        "chown -R backup: /tmp/amanda",
        78,
    ),
    # -- ssh
    "ssh's configuration": (
        Break(f"echo Nonsense yes >{SSH}/config", f"rm {SSH}/config"),
        {"ssh": BAD},
        "Bad configuration option",
        78,
    ),
    "ssh's configuration others can write": (
        Break(f"install -m 666 -o backup /dev/null {SSH}/config", f"rm {SSH}/config"),
        {"ssh": BAD},
        "Bad owner or permissions",
        78,
    ),
    "no key": (moved(KEY), {"key": BAD}, "ssh-keygen -t ed25519", 77),
    "no configured key": (Break(settings={"key": "/srv/key"}), {"key": BAD}, "/srv/key", 77),
    "key others can read": (owned(KEY, "backup:backup", "644"), {"key": BAD}, "chmod 600", 78),
    "root's key": (owned(KEY, "root:root", "600"), {"key": BAD}, f"chown backup {KEY}", 78),
    "key's folder others can write": (
        owned(SSH, "backup:backup", "775"),
        {"key": BAD},
        f"chmod 700 {SSH}",
        78,
    ),
    "key with a passphrase": (
        rewritten(KEY, f"ssh-keygen -q -p -P '' -N secret -f {KEY}; chown backup {KEY}"),
        {"key": BAD},
        "ssh-keygen -p -N ''",
        77,
    ),
    "key that is none": (
        rewritten(KEY, f"echo junk >{KEY}"),
        {"key": BAD},
        "is no private key",
        77,
    ),
    "host key not pinned": (moved("{known}"), {"host-key": BAD}, "is not known here", 77),
    "host key revoked": (
        rewritten("{known}", "sed -i 's/^/@revoked /' {known}"),
        {"host-key": BAD},
        "is revoked",
        77,
    ),
    "host key of another port": (
        Break(settings={"server": "backup@amanda:2222"}),
        {"host-key": BAD},
        "[amanda]:2222",
        77,
    ),
    "password others can read": (
        Break(
            "echo lab-backup >/srv/password; chmod 644 /srv/password; chown backup /srv/password",
            "rm /srv/password",
            settings={"password_file": "/srv/password"},
        ),
        {"password": BAD},
        "chmod 600 /srv/password",
        78,
    ),
    "no password": (
        Break(settings={"password_file": "/srv/password"}),
        {"password": BAD},
        "/srv/password: No such file",
        78,
    ),
    # -- the server
    "login refused": (at_server("{keys}", ": >{keys}"), {"login": BAD}, "server enroll", 77),
    "host key changed": (
        rewritten(
            "{known}",
            f"sed -i 's| ssh-ed25519 .*| ssh-ed25519 '\"$(cut -d' ' -f2 {KEY}.pub)\"'|' {{known}}",
        ),
        {"login": BAD},
        "HAS CHANGED",
        77,
    ),
    "no gate there": (forced("/nowhere/asyncamanda"), {"gate": BAD}, "not installed", 76),
    "something else than a gate": (forced("echo hello"), {"gate": BAD}, "'hello'", 76),
    "gate's no": (
        forced("echo asyncamanda gate: no entry >\\&2; exit 77"),
        {"gate": BAD},
        "no entry",
        77,
    ),
    "the server's amanda.conf": (
        at_server_soon("/etc/amanda/daily/amanda.conf", "nonsense"),
        {"gate": BAD},
        "on the server, as root: asyncamanda server doctor",
        78,
    ),
    "the server's disklist": (
        at_server_soon(LIST, "tower /home no-such-dumptype"),
        {"gate": BAD},
        "the server's own configuration is to be fixed there",
        78,
    ),
    "no disk there": (
        Break(  # the server reads its disklist every 5 seconds at most
            at=f"cp -p {LIST} {LIST}.was; : >{LIST}; sleep 5",
            undo_at=f"mv {LIST}.was {LIST}; sleep 5",
        ),
        {"disks": BAD, "backup": WARNING},
        "laptop /home DUMPTYPE",
        78,
    ),
    "a disk that the server does not have": (
        Break(settings={"disks": ["/srv/docs", "/srv/nope"]}),
        {"disks": BAD, "backup": WARNING},
        "names /srv/nope; the server has /srv/docs",
        78,
    ),
    # -- upkeep
    "no schedule": (moved(CRON), {"schedule": BAD}, "asyncamanda schedule install", 78),
    "a schedule in a comment": (
        rewritten(CRON, f"sed -i 's/^/# /' {CRON}"),
        {"schedule": BAD},
        "asyncamanda schedule install",
        78,
    ),
    "a schedule that cron passes over": (
        owned(CRON, "root", "666"),
        {"schedule": BAD},
        "asyncamanda schedule install",
        78,
    ),
    "secrets others can read": (
        Break(
            "printf '[notify]\\nurls_file = \"/srv/urls\"\\n' >>{toml}; "
            "echo ntfy://topic >/srv/urls; chown backup /srv/urls; chmod 640 /srv/urls",
            "rm /srv/urls",
        ),
        {"notify": BAD},
        "chmod 600 /srv/urls",
        78,
    ),
    "damaged memory": (
        rewritten(MEMORY, f"truncate -s 100 {MEMORY}"),
        {"memory": WARNING},
        "is damaged",
        0,
    ),
    "unreadable memory": (
        owned(MEMORY, "root", "600"),
        {"memory": BAD},
        f"chown backup {MEMORY}",
        78,
    ),
    "overdue": (Break(later=timedelta(days=2)), {"backup": WARNING}, "overdue", 0),
    "stale": (Break(later=timedelta(days=30)), {"backup": BAD}, "STALE", 101),
    "stale, and the key is lost": (
        Break(
            f"{moved(KEY).on}; {in_memory('days=30').on}",
            f"{moved(KEY).undo}; {in_memory('days=30').undo}",
        ),
        {"key": BAD, "backup": BAD},
        "STALE",
        77,
    ),
}
