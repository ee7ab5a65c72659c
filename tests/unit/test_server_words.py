"""What the commands of the server print on a terminal: no line is too long, and no word cut."""

import io
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from asyncamanda.commands.server.clients import HEADS, describe_row
from asyncamanda.commands.server.disk import modernise
from asyncamanda.commands.server.enroll_words import say_enrolled
from asyncamanda.commands.server.options import unknown_client
from asyncamanda.commands.server.rename import say_renamed
from asyncamanda.commands.server.setup import _say_what_next
from asyncamanda.core.amanda.disklist import Dle
from asyncamanda.core.ssh.publickey import PublicKey
from asyncamanda.report.table import print_table
from asyncamanda.server.enrol.enrolled import Enrolled
from asyncamanda.server.enrol.newconfig import NewConfig
from asyncamanda.server.restore.reach import Reach

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
NAME = "the-laptop-of-somebody.example.com"
KEY = PublicKey(
    "ssh-ed25519",
    "AAAAC3NzaC1lZDI1NTE5AAAAIIyeAPVaBVqWjRtLnZK1nSyR7Q0aN5n2dm0e2lfXh6aO",
    "root@laptop",
)
ENTRY = Enrolled(NAME, "daily", KEY)
DISKS = [f"/srv/a-rather-long-name-of-a-disk-{number}" for number in range(5)]
PLACE = Path("/srv/amanda/vtapes")
NEW = NewConfig("mobile", PLACE, PLACE / "holding", 500 * 10**9, "backup")


class MadeUpTerminal(io.StringIO):
    """What somebody would see."""

    def isatty(self) -> bool:
        """Say that it is one."""
        return True


def list_clients() -> None:
    """Print the table of clients."""
    reach = Reach(NOON, {}, {})
    rows = [describe_row(ENTRY, {NAME: NOON}, reach), describe_row(ENTRY, {}, None)]
    print_table(HEADS, rows)


def enrol() -> None:
    """Print what enroll does of a new client."""
    changed = [f"/etc/amanda/daily/disklist has {NAME} {disk}" for disk in DISKS]
    say_enrolled(ENTRY, "enrolled", DISKS, changed, is_settled=True, is_json=False)


@pytest.mark.parametrize(
    "say",
    [
        list_clients,
        enrol,
        lambda: say_renamed(NAME, f"{NAME}.org", "daily", DISKS),
        lambda: modernise._announce("daily", [Dle(NAME, disk) for disk in DISKS]),
        lambda: _say_what_next(None, ["daily", "mobile", *(f"config{n}" for n in range(9))], NEW),
    ],
)
def test_at_80_columns(say: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """But for a command, which stands alone in its line, to be pasted."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    screen = MadeUpTerminal()
    monkeypatch.setattr("sys.stdout", screen)
    say()
    lines = screen.getvalue().splitlines()
    assert lines
    assert [line for line in lines if len(line) > 80 and " asyncamanda " not in line] == []
    words = {word for line in lines for word in line.split()}
    assert {NAME, "config8"} & words or "config8." in words or f"{NAME}:" in words


def test_who_is_not_enrolled_may_have_backups_or_is_to_be_enrolled() -> None:
    """The hint says what leads on."""
    backups = unknown_client("tower", ["laptop"], of_backups=True).hint
    assert "renamed or retired, add --amanda-config NAME" in backups
    assert "asyncamanda server enroll" in unknown_client("laptop", []).hint
    other = unknown_client("tower", ["laptop"]).hint
    assert other == "`asyncamanda server clients` lists all"
