"""The docs say what the code does, and what finds out that they do not any more."""

import argparse
import json
import re
from dataclasses import fields
from pathlib import Path

from tools.docs import named
from tools.docs.made import PARTS, update_pages

from asyncamanda.cli import COMMANDS, load_command
from asyncamanda.commands import server
from asyncamanda.commands.server import disk
from asyncamanda.config.client import ClientConfig, NotifySettings, SshSettings
from asyncamanda.core.agent.by_command import names_one_client
from asyncamanda.core.protocol.messages import BadLine, ClientMessage, ServerMessage
from asyncamanda.core.protocol.wire import MessageDecoder, client_decoder, server_decoder
from asyncamanda.core.restore.answer import AnswerDecoder, OtherLine, encode_answer
from asyncamanda.core.restore.request import encode_request, parse_request
from asyncamanda.server.enrol.setup import SERVER_TOML

ROOT = Path(__file__).parents[2]


def test_every_key_of_the_configuration_is_in_the_guide() -> None:
    """The guide's table has each key of client.toml, and no other."""
    tables = {"ssh": SshSettings, "notify": NotifySettings}
    keys = {field.name for field in fields(ClientConfig)} - {*tables}
    keys |= {f"[{name}] {field.name}" for name, kind in tables.items() for field in fields(kind)}
    table = (ROOT / "docs/guide.md").read_text("utf-8")
    assert set(re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)) == keys


def test_every_command_is_in_the_guide() -> None:
    """Each command that --help lists is explained."""
    guide = (ROOT / "docs/guide.md").read_text("utf-8")
    assert [name for name in COMMANDS if f"`{name}" not in guide] == []


def test_every_key_of_the_servers_configuration_is_in_its_page() -> None:
    """The page's table has each key of server.toml, and no other."""
    page = (ROOT / "docs/server.md").read_text("utf-8")
    page = page.partition("\n## server.toml\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\[?[a-z][^`]*)` \| [^|]*\| ", page, re.MULTILINE)
    keys = {line.split()[1] for line in SERVER_TOML.splitlines() if " = " in line}
    assert {row.split()[-1] for row in rows} == keys


def test_every_command_of_the_server_is_in_its_page() -> None:
    """Each subcommand that `server --help` lists is explained."""
    page = (ROOT / "docs/server.md").read_text("utf-8")
    assert [name for name in server.SUBCOMMANDS if f"`server {name}" not in page] == []


def takes_json(name: str) -> bool:
    """Return whether a command, "server.enroll" for one within another, has --json."""
    parser = argparse.ArgumentParser()
    load_command(name).add_arguments(parser)
    return "--json" in parser.format_help()


def test_commands_without_json_are_named_and_all_others_have_their_shape() -> None:
    """By the first sentence of the page, and by what is set in bold in it."""
    page = (ROOT / "docs/json.md").read_text("utf-8")
    commands = {name: name for name in COMMANDS if name != "server"}
    commands |= {f"server {name}": f"server.{name}" for name in {*server.SUBCOMMANDS} - {"disk"}}
    commands |= {f"server disk {name}": f"server.disk.{name}" for name in disk.SUBCOMMANDS}
    without = {name for name, module in commands.items() if not takes_json(module)}
    sentence = page.partition("but for these: ")[2].partition(".")[0]
    assert {*re.findall(r"`([a-z -]+)`", sentence)} == without
    shapes = re.findall(r"^\*\*([a-z -]+)\*\*|`(history|run)`", page, re.MULTILINE)
    shown = {one or other for one, other in shapes}
    shown |= {name.partition(" ")[0] for name in shown} - {"server"}  # schedule show
    assert {*commands} - without <= shown


def test_every_amdump_that_a_client_is_told_to_run_names_that_client() -> None:
    """Or another one that is away puts each of its backups in doubt."""
    pages = ("README.md", "docs/guide.md", "docs/design/0007-whose-dump-failed.md")
    text = "".join((ROOT / page).read_text("utf-8") for page in pages)
    lines = re.findall(r"\"(/usr/sbin/amdump [^\"]*)\"|`(amdump [^`]*)`", text)
    commands = [one or other for one, other in lines]
    assert len(commands) >= 4
    assert [each for each in commands if not names_one_client(each)] == []


def test_a_page_that_is_stale_is_named_and_only_written_where_that_is_wanted(
    tmp_path: Path,
) -> None:
    """--check changes nothing."""
    for (page, name), make in PARTS.items():
        (tmp_path / page).parent.mkdir(exist_ok=True)
        with (tmp_path / page).open("a") as text:
            text.write(f"<!-- {name}: made by tools/write-docs -->\n{make()}\n<!-- end -->\n")
    stale = tmp_path / "docs/protocol.md"
    whole = stale.read_text()
    stale.write_text(whole.replace("`ticket` |", "`tocket` |"))
    assert update_pages(tmp_path, is_check=True) == ["docs/protocol.md"]
    assert stale.read_text() != whole
    assert update_pages(tmp_path, is_check=False) == ["docs/protocol.md"]
    assert stale.read_text() == whole
    assert update_pages(tmp_path, is_check=True) == []


def test_the_example_of_a_session_is_one() -> None:
    """Each of its lines is a message of that side, with all keys that it has."""
    page = (ROOT / "docs/protocol.md").read_text("utf-8")
    page = page.partition("## Giving files back")[0]
    lines = re.findall(r"^(client|server)  (\{.*\})$", page, re.MULTILINE)
    decoders: dict[str, MessageDecoder[ClientMessage] | MessageDecoder[ServerMessage]] = {
        "client": client_decoder(),
        "server": server_decoder(),
    }
    assert len(lines) >= 8
    for side, line in lines:
        (message,) = decoders[side].feed(f"{line}\n".encode())
        assert not isinstance(message, BadLine), (line, message)
        assert json.loads(line).keys() - {"type"} == {one.name for one in fields(message)}


def test_the_example_of_a_restore_is_one() -> None:
    """Each of its lines is what that side says, with all keys that it has."""
    page = (ROOT / "docs/protocol.md").read_text("utf-8").partition("## Giving files back")[2]
    lines = re.findall(r"^(client|server)  (\{.*\})$", page, re.MULTILINE)
    assert [side for side, _ in lines] == ["client", *["server"] * 3]
    for side, line in lines:
        if side == "client":
            assert encode_request(parse_request(line.encode())) == f"{line}\n".encode()
        else:
            (answer,) = AnswerDecoder().feed(f"{line}\n".encode())
            assert not isinstance(answer, OtherLine)
            assert encode_answer(answer) == f"{line}\n".encode()


def test_a_name_that_is_not_there_is_found(tmp_path: Path) -> None:
    """A path from the top or from the package, and what is defined in it; but no system's path."""
    page = tmp_path / "page.md"
    page.write_text(
        "`core/model.py` `src/asyncamanda/core/model.py::Memory` `core/` `/etc/passwd` `a word`\n"
        "```\n`core/in-a-fence.py`\n```\n"
        "`core/gone.py` `core/model.py::Gone` `tests/system/test_docs.py::test_gone`\n"
    )
    assert [*named.find_bad_names(ROOT, page)] == [
        "page.md: there is no core/gone.py",
        "page.md: core/model.py defines no Gone",
        "page.md: tests/system/test_docs.py defines no test_gone",
    ]


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    """To a file or a heading; links to elsewhere are left alone."""
    (tmp_path / "other.md").write_text("# Who `asks`: it?\n")
    page = tmp_path / "page.md"
    page.write_text(
        "# Here\n[a](other.md) [b](other.md#who-asks-it) [c](#here) [d](https://example.com/x)\n"
        "[e](gone.md) [f](other.md#gone) [g](#gone)\n"
    )
    assert [*named.find_bad_links(tmp_path, page)] == [
        "page.md: the link gone.md leads nowhere",
        "page.md: the link other.md#gone leads to no heading",
        "page.md: the link #gone leads to no heading",
    ]


def test_a_claim_without_its_test_is_found(tmp_path: Path) -> None:
    """It may stand on the next line of the point; and who has none says so."""
    page = tmp_path / "page.md"
    page.write_text(
        "- One.\n  `tests/system/test_docs.py::test_x`\n- Two. Not tested.\n- Three.\n  More.\n"
    )
    assert [*named.find_bare_claims(page)] == ["page.md: no test is named for: - Three."]


def test_a_page_that_is_gone_is_named(tmp_path: Path) -> None:
    """Instead of passing for one in which all is well."""
    (tmp_path / "docs").mkdir()
    assert named.find_missing(tmp_path) == [f"there is no {page}" for page in named.STRICT]


def test_every_part_of_the_package_is_in_the_architecture() -> None:
    """Each package, and each of those within core, client and server, as a path."""
    page = (ROOT / "docs/architecture.md").read_text("utf-8")
    package = ROOT / "src/asyncamanda"
    parts = {path.parent.relative_to(package) for path in package.rglob("__init__.py")}
    assert len(parts) > 30
    assert [str(part) for part in parts if part.parts and f"`{part}/" not in page] == []
