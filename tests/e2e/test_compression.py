"""Compression by `roaming`, and by the dumptype with zstd that the pages show, in real dumps."""

import re
from pathlib import Path

import pytest
from tests.e2e.laptop import ASYNCAMANDA
from tests.e2e.office import open_office

from asyncamanda.core.amanda.config import parse_config

NEW = ("--new-config", "mobile", "--vtapes", "/srv/pool/vtapes", "--size", "20GB")
PAGE = Path(__file__).parents[2] / "docs/design/0016-compression.md"
DISK = "/srv/docs"
TEXT = "it is said again and again\n" * 40_000


@pytest.mark.parametrize("dumptype", ["roaming", "roaming-zstd"])
def test_what_is_compressed_comes_back(lab_prefix: Path, dumptype: str) -> None:
    """A dump takes less than half, and a restore gives it all back, a whole disk and one file."""
    with open_office(lab_prefix, "laptop") as office:
        laptop, server = office.client("laptop"), office.server
        laptop.make_directory(DISK)
        for number in range(3):
            laptop.write(f"{DISK}/{number}", f"{number}\n{TEXT}")
        home = server.account("backup").home
        server.write(f"{home}/.ssh/authorized_keys", "", owner="backup", mode=0o600)
        office.configure()
        office.ask("server", "setup", "--yes", *NEW)
        shown = re.search(r"^define dumptype [^`]*", PAGE.read_text("utf-8"), re.MULTILINE)
        assert shown
        server.append("/etc/amanda/mobile/amanda.conf", shown[0], owner="backup")
        config = parse_config(server.run(["amadmin", "mobile", "config"], user="backup").stdout)
        rate = config.block_value("DUMPTYPE", dumptype, "COMPRATE")
        assert float(rate) == 1, "half of it is assumed, and photos do not get smaller"
        words = ["--amanda-config", "mobile", "--key", laptop.backup_key, "--disk", DISK]
        office.ask("server", "enroll", "laptop", *words, "--dumptype", dumptype)
        office.configure_agent(laptop)
        run = office.backup("laptop", "--force")
        assert run.returncode == 0, run.stderr + office.diary
        (held,) = server.path("/srv/pool/vtapes/holding").glob("*/laptop.*")
        assert held.stat().st_size < 3 * len(TEXT) / 2
        laptop.run([ASYNCAMANDA, "restore", DISK, "--to", "/srv/all"])
        laptop.run([ASYNCAMANDA, "restore", f"{DISK}/1", "--to", "/srv/one"])
        wanted = {path.rpartition("/")[2]: data for path, data in laptop.tree(DISK).items()}
        found = {path.rpartition("/")[2]: data for path, data in laptop.tree("/srv/all").items()}
        assert found == wanted
        assert [*laptop.tree("/srv/one").values()] == [wanted["1"]]
