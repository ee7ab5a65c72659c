"""What sshd demands of a login; tests/e2e/test_sshd_settings.py asks a real one."""

import pytest

from asyncamanda.core.ssh.sshd_settings import (
    Login,
    find_hindrances,
    find_key_files,
    parse_settings,
)

LOGIN = Login("backup", 34, "/var/backups", ("backup", "disk", "tape"))
# what OpenSSH 9.2 prints by default, of the words that are read
USUAL = """\
maxsessions 10
pubkeyauthentication yes
chrootdirectory none
forcecommand none
authorizedkeysfile .ssh/authorized_keys .ssh/authorized_keys2
authenticationmethods any
"""


def hindrances(*lines: str) -> list[str]:
    """Return what is in the way with these lines instead of the usual ones."""
    names = {line.partition(" ")[0] for line in lines}
    kept = [line for line in USUAL.splitlines() if line.partition(" ")[0] not in names]
    return [one.what for one in find_hindrances(parse_settings("\n".join([*kept, *lines])), LOGIN)]


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("allowusers root", "allowusers backup"),
        ("allowusers b*p",),
        ("allowusers ??????",),
        ("allowusers backup@10.0.0.0/8",),
        ("denyusers ana", "denyusers backup@192.0.2.1"),
        ("allowgroups ssh tape",),
        ("allowgroups ssh", "allowgroups d*"),
        ("denygroups ssh",),
        ("authenticationmethods publickey,password publickey",),
        ("maxsessions 2",),
        ("refuseconnection no",),
        ("a line of words", "", "odd"),
    ],
)
def test_nothing_is_in_the_way(lines: tuple[str, ...]) -> None:
    """Of what sshd says by itself, and of what lets the account in."""
    assert hindrances(*lines) == []


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        (("allowusers root", "allowusers ana"), "AllowUsers root ana"),
        (("allowusers backup?",), "AllowUsers backup?"),
        (("allowusers [b]ackup",), "AllowUsers [b]ackup"),
        (("denyusers back*",), "DenyUsers back*"),
        (("allowgroups ssh",), "AllowGroups ssh"),
        (("denygroups tape",), "DenyGroups tape"),
        (("pubkeyauthentication no",), "PubkeyAuthentication no"),
        (
            ("authenticationmethods publickey,password", "authenticationmethods password"),
            "AuthenticationMethods publickey,password password",
        ),
        (("forcecommand internal-sftp -u 7",), "ForceCommand internal-sftp -u 7"),
        (("chrootdirectory /srv",), "ChrootDirectory /srv"),
        (("refuseconnection yes",), "RefuseConnection yes"),
        (("maxsessions 1",), "MaxSessions 1"),
        (("maxsessions 0",), "MaxSessions 0"),
    ],
)
def test_what_is_in_the_way_is_named(lines: tuple[str, ...], what: str) -> None:
    """By the words of sshd_config."""
    assert hindrances(*lines) == [what]


@pytest.mark.parametrize(
    ("line", "paths"),
    [
        (".ssh/authorized_keys", ("/var/backups/.ssh/authorized_keys",)),
        ("/etc/keys/%u %h/k-%U-100%%", ("/etc/keys/backup", "/var/backups/k-34-100%")),
        ("none", ()),
    ],
)
def test_where_keys_are_read(line: str, paths: tuple[str, ...]) -> None:
    """Relative to the home, with sshd's tokens."""
    assert find_key_files(parse_settings(f"authorizedkeysfile {line}"), LOGIN) == paths


def test_an_account_whose_groups_have_no_names() -> None:
    """Its numbers are in no list of sshd's: the words name no group then, and nothing fails."""
    nameless = Login("backup", 34, "/var/backups", ())
    (found,) = find_hindrances(parse_settings("allowgroups ssh"), nameless)
    assert (found.what, "such as" in found.fix) == ("AllowGroups ssh", False)
    assert find_hindrances(parse_settings("denygroups *"), nameless) == []
