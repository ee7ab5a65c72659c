"""docs/restore-by-hand.md: each of its commands gives back what it says, with bare Amanda and tar.

The commands and the shown output are read from the page. Only dates, and the slots that Amanda
chose, are replaced by those of the dumps at hand.
"""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.e2e.dumps import add_dumptype, cut_small, dump_held, flush
from tests.e2e.trees import Entry, read_tree

from asyncamanda.core.amanda.header import HEADER_BYTES
from lab import Client, Host, Lab

PAGE = Path(__file__).parents[2] / "docs/restore-by-hand.md"
DISK, SECRET, WORK = "/srv/docs", "/srv/secret", "/srv/restore"
MOVED = "When folders were moved"
OURS = "Encrypted by `setup --encrypt`"
WHOLE = ("1", "2", "3", "4", "5", "7", "9", "10")
WITH_MOVES = ("1", "2", "3", "4", "5", "6", "7", MOVED)
NUMBERS = "[0-9a-f:]+"
ENCRYPTION = (
    "encrypt client",
    'client-encrypt "/usr/sbin/amcrypt-ossl"',
    'client-decrypt-option "-d"',
)
SHELL = """\
set -E -o pipefail
trap 'echo "@failed: $BASH_COMMAND"' ERR
exec 2>&1
"""
MEGABYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page: its number or title, the commands, and what is shown of their output."""

    title: str
    commands: tuple[str, ...]
    shown: tuple[str, ...]


def read_page() -> dict[str, Section]:
    """Return the page's sections, by number, or by title where they have none."""
    sections = {}
    for text in re.split(r"^##+ ", PAGE.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        title, _, body = text.partition("\n")
        blocks = re.findall(r"^```(\w*)\n(.*?)^```$", body, re.MULTILINE | re.DOTALL)
        commands = tuple(block for kind, block in blocks if kind == "sh")
        shown = tuple(block for kind, block in blocks if not kind)
        number = title.partition(".")[0]
        sections[number if number.isdigit() else title] = Section(title, commands, shown)
    return sections


class Story:
    """The page's commands, run on one host, in one shell, in its order."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.page = read_page()
        first, second = sorted({dump.timestamp for dump in lab.server.stored("laptop", DISK)})
        slots = {
            label: place.parent.name
            for label in ("DAILY-001", "DAILY-002")
            for place in lab.server.path("/srv/amanda/vtapes").glob(f"slot*/00000.{label}")
        }
        self._words = {
            "20261120031502": first,
            "20261121031502": second,
            "2026-11-20 03:15:02": _spell(first),
            "2026-11-21 03:15:02": _spell(second),
            "slot0": slots["DAILY-001"],
            "slot1": slots["DAILY-002"],
        }

    def of_here(self, text: str) -> str:
        """Return a piece of the page with the dates and slots at hand."""
        pattern = re.compile("|".join(map(re.escape, self._words)))
        return pattern.sub(lambda match: self._words[match[0]], text)

    def run(self, *sections: str, host: Host | None = None) -> dict[str, str]:
        """Run the commands of these sections in one shell; return what each section prints."""
        script = f"cd /srv\n{SHELL}"
        for name in sections:
            blocks = "".join(self.page[name].commands)
            script += f"echo '@section {name}'\n{self.of_here(blocks)}"
        said = (host or self.lab.server).run(["bash", "-c", script], check=False).stdout
        parts = re.split(r"^@section (.*)\n", said, flags=re.MULTILINE)[1:]
        return dict(zip(parts[::2], parts[1::2], strict=True))


def _spell(timestamp: str) -> str:
    return re.sub(r"(....)(..)(..)(..)(..)(..)", r"\1-\2-\3 \4:\5:\6", timestamp)


def fill(client: Client) -> None:
    """Make the disk of the page's example, as it was at the first date."""
    (place := client.path(DISK)).mkdir()
    (place / "2025/letters").mkdir(parents=True)
    (place / "2025/letters").chmod(0o750)
    (place / "2025/plan.txt").write_text("a plan\n")
    (place / "2025/letters/anna.txt").write_text("Dear Anna\n")
    (place / "notes.txt").write_text("notes\n")
    (place / "notes.txt").chmod(0o640)
    (place / "report.txt").write_bytes(secrets.token_bytes(5 * MEGABYTE // 2))
    (place / "drafts.txt").write_text("to be deleted\n")


def change(client: Client) -> None:
    """Do to it what the page says was done until the second date."""
    place = client.path(DISK)
    (place / "report.txt").write_bytes(secrets.token_bytes(3 * MEGABYTE // 2))
    (place / "drafts.txt").unlink()


def move(client: Client) -> None:
    """Move folders in a way that `tar -xG` cannot repeat."""
    place = client.path(DISK)
    (place / "2025/letters").rename(place / "letters")
    (place / "2025").rename(place / "past")


def add_odd_names(client: Client) -> None:
    """Add what is hard to give back: odd names, links, a sparse file, another's files."""
    place = client.path(DISK)
    (place / "2025/plan.txt").with_name("plan too").hardlink_to(place / "2025/plan.txt")
    (place / "to the notes").symlink_to("notes.txt")
    for number, name in enumerate(("a b", "back\\nslash", "tab\there", "[x]*", "-C", "d ü/é")):
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text(name)
        client.run(["chown", f"{1000 + number}:{2000 + number}", f"{DISK}/{name}"])
    client.run(["truncate", "-s", "4M", f"{DISK}/sparse"])
    client.run(["mkfifo", f"{DISK}/fifo"])


Change = Callable[[Client], None]
LINES = {"roaming": "compress client fast", "roaming-amgtar": "compress server fast"}


def make_dumps(lab: Lab, dumptype: str, *further: Change) -> dict[str, Entry]:
    """Make the page's two dumps, the first on two volumes; return the disk at the second."""
    server, client = lab.server, lab.client
    cut_small(server)
    add_dumptype(server, "of-page", dumptype, LINES[dumptype])
    server.add_dle("laptop", DISK, "of-page")
    fill(client)
    add_odd_names(client)
    dump_held(server, "laptop")
    flush(server)
    for step in (change, *further):
        step(client)
    dump_held(server, "laptop")
    return read_tree(client.path(DISK))


@pytest.fixture
def lab(bare_lab: Lab) -> Lab:
    """Return a lab without asyncamanda, as after its loss."""
    assert not bare_lab.server.path("/opt/asyncamanda/bin").exists()
    return bare_lab


def test_a_whole_disk_comes_back_by_the_pages_commands(lab: Lab) -> None:
    """From volumes and holding disk, in parts and chunks, compressed: the tree as it was.

    amfetchdump brings the same bytes; headers tell all; an encrypted dump is read by the client.
    """
    wanted = make_dumps(lab, "roaming-amgtar")
    story = Story(lab)
    said = story.run(*WHOLE)
    check_well(said)
    assert said["4"].endswith("\nboth are whole\n")
    assert said["7"] == "good\n"  # and no difference
    server = lab.server
    assert read_tree(server.path(f"{WORK}/all")) == wanted
    assert server.run(["stat", "-c", "%a", WORK]).stdout == "700\n"
    raw, fetched = (server.path(f"{WORK}/0.{name}").read_bytes() for name in ("raw", "fetched"))
    assert fetched == raw
    kinds = re.findall(r"^\S+: AMANDA: (\S+)", said["10"], re.MULTILINE)
    assert sorted(kinds) == ["CONT_FILE", "FILE", *["SPLIT_FILE"] * 3, *["TAPESTART"] * 2]
    check_encrypted(story, lab.client)


def check_encrypted(story: Story, client: Client) -> None:
    """Fail unless the client gets what it encrypted by the page's command."""
    server = story.lab.server
    client.write("/var/backups/.am_passphrase", "a secret\n", owner="backup", mode=0o600)
    client.add_tree(SECRET)
    add_dumptype(server, "encrypted", "roaming", "compress client fast", *ENCRYPTION)
    server.add_dle("laptop", SECRET, "encrypted")
    dump_held(server, "laptop")
    (held,) = server.path("/srv/amanda/holding").glob("*/laptop._srv_secret.0")
    client.path("/srv/0.raw").write_bytes(held.read_bytes()[HEADER_BYTES:])
    check_well(story.run("8", host=client))
    client.make_directory("/srv/back")
    client.run(["tar", "-xpf", "/srv/0.tar", "-C", "/srv/back"])
    assert read_tree(client.path("/srv/back")) == read_tree(client.path(SECRET))


def test_every_command_of_the_page_is_run_here() -> None:
    """A section that gets its first command has to be run by one of these tests."""
    with_commands = {name for name, section in read_page().items() if section.commands}
    assert with_commands == {*WHOLE, *WITH_MOVES, "8", OURS}  # that by test_lost_encrypted.py


def test_what_was_moved_comes_back_by_the_pages_commands(lab: Lab) -> None:
    """Where `tar -xG` fails as the page says; and what is shown there is what is printed."""
    wanted = make_dumps(lab, "roaming", move)
    story = Story(lab)
    said = story.run(*WITH_MOVES)
    assert "tar: Cannot rename" in said["7"], said["7"]
    assert "good" not in said["7"].splitlines()
    check_well({name: text for name, text in said.items() if name != "7"})
    for name in ("2", "3", "5", MOVED):
        for text in story.page[name].shown:
            check_shown(said[name], story.of_here(text))
    got = read_tree(lab.server.path(f"{WORK}/one"))
    assert got.pop(".")
    assert got == {name: wanted[name] for name in ("report.txt", "notes.txt")}
    assert read_tree(lab.server.path(f"{WORK}/all")) == wanted


def check_well(said: dict[str, str]) -> None:
    """Fail if a command failed."""
    assert {name: text for name, text in said.items() if "@failed" in text} == {}


def check_shown(said: str, shown: str) -> None:
    """Fail unless each line that the page shows is printed, but for sums, sizes and gaps."""
    for line in shown.splitlines():
        words = [
            re.sub(r"^[0-9a-f]{8}:\d+$|^\d{4}$", NUMBERS, re.escape(word))
            for word in re.split(r"[ =]+", line)
        ]
        pattern = r"[ =]+".join(words).replace("/bin/tar", "(/usr)?/bin/tar")  # Debian 13's
        assert re.search(pattern, said), (line, said)
