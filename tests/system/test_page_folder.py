"""The folder of the page: each file whole, nothing written twice, nothing foreign touched."""

import gzip
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.fleets import HOUR, NOON, make_fleet
from tests.system.watching import until

from asyncamanda.config.server import PagePlace, ServerConfig
from asyncamanda.core.fleet.standing import FleetView
from asyncamanda.errors import AsyncamandaError, LaterError, RefusedError
from asyncamanda.report.html.files import HEAD_BYTES, TAIL_BYTES, read_digest
from asyncamanda.report.html.render import Renderer
from asyncamanda.server.fleet.page_folder import WrittenPage, keep_page, write_page
from asyncamanda.server.fleet.refreshing import STEPS
from asyncamanda.server.ledger.ledger import Ledger

ROOT = Path(__file__).parents[2]
FOREIGN = "<!doctype html>\n<title>It works!</title>\n"
NOBODY = 65534

WRITE = """
import sys
from pathlib import Path
from tests.fleets import make_fleet
from asyncamanda.server.fleet.page_folder import write_page
print("ready", flush=True)
write_page(Path(sys.argv[1]), make_fleet(int(sys.argv[2])))
"""

# in a mount namespace of its own: a small file system, filled up between two writes
FILL_UP = """
import os, sys
from pathlib import Path
from tests.fleets import make_fleet
from asyncamanda.errors import LaterError
from asyncamanda.server.fleet.page_folder import write_page
folder = Path(sys.argv[1])
write_page(folder, make_fleet(5))
before = {path: path.read_bytes() for path in folder.rglob("*.html")}
assert len(before) == 6
try:
    with open(folder / "full", "wb") as file:
        while True:
            file.write(bytes(4096))
            file.flush()
except OSError:
    pass
try:
    write_page(folder, make_fleet(9))
except LaterError as error:
    print(error.reference, error.message)
assert {path: path.read_bytes() for path in before} == before
print(sorted(path.name for path in folder.rglob("*.new")))
os.unlink(folder / "full")
print(write_page(folder, make_fleet(6)).written)
"""


def program(text: str, *words: str) -> list[str]:
    """Return the command line of a program that has the tests and the source."""
    return [sys.executable, "-c", text, *words]


ENVIRON = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder for the page."""
    made = tmp_path / "asyncamanda"
    made.mkdir()
    return made


def digest_of(path: Path) -> str:
    """Return the digest of a page that is whole, "" if it is not."""
    content = path.read_bytes()
    return read_digest(content[:HEAD_BYTES], content[-TAIL_BYTES:], len(content))


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """Return when each file and folder was written, and which file it is."""
    return {
        str(path): (path.stat().st_mtime_ns, path.stat().st_ino)
        for path in (folder, *folder.rglob("*"))
    }


def pages(folder: Path) -> list[str]:
    """Return the names of the clients' pages."""
    return sorted(path.name for path in (folder / "client").iterdir())


def refused(folder: Path, view: FleetView) -> RefusedError:
    """Return the error with which writing is refused."""
    with pytest.raises(RefusedError) as error:
        write_page(folder, view)
    return error.value


def test_a_page_is_written_for_all_and_for_each_client(folder: Path) -> None:
    """That anybody may read, whatever the umask; only the lock is nobody else's."""
    umask = os.umask(0o077)
    try:
        assert write_page(folder, make_fleet(3)) == WrittenPage(3, 4, 0)
    finally:
        os.umask(umask)
    assert pages(folder) == [f"laptop000{n}@daily.html" for n in range(3)]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}
    assert modes.pop("client") == 0o755
    assert modes.pop(".asyncamanda.lock") == 0o600
    assert set(modes.values()) == {0o644}
    assert all(digest_of(path) for path in folder.rglob("*.html"))


def test_where_nothing_changed_nothing_is_written(folder: Path) -> None:
    """An hour later the same fleet is the same page."""
    fleet = make_fleet(5)
    write_page(folder, fleet)
    before = stamps(folder)
    assert write_page(folder, replace(fleet, at=NOON + HOUR)) == WrittenPage(5, 0, 0)
    assert stamps(folder) == before


def test_only_the_pages_that_changed_are_written(folder: Path) -> None:
    """That of one client, and the one of all."""
    fleet = make_fleet(5)
    write_page(folder, fleet)
    before = stamps(folder)
    changed = fleet.clients[2]
    changed = replace(changed, standing=replace(changed.standing, sentence="failing since today"))
    clients = (*fleet.clients[:2], changed, *fleet.clients[3:])
    assert write_page(folder, replace(fleet, clients=clients)) == WrittenPage(5, 2, 0)
    after = stamps(folder)
    other = {Path(path).name for path in after if after[path] != before[path]}
    assert other == {"index.html", "laptop0002@daily.html", "client", "asyncamanda"}
    assert "failing since today" in (folder / "client/laptop0002@daily.html").read_text("utf-8")


def test_the_pages_of_who_is_gone_are_removed(folder: Path) -> None:
    """Only asyncamanda's: what others have put there stays, whatever its name."""
    write_page(folder, make_fleet(4))
    for name in ("mine@daily.html", "notes.txt", ".x.new"):
        (folder / "client" / name).write_text(FOREIGN)
    (folder / "logo.svg").write_text("<svg/>")
    assert write_page(folder, make_fleet(2)) == WrittenPage(2, 1, 2)
    assert set(pages(folder)) == {
        *("laptop0000@daily.html", "laptop0001@daily.html"),
        *("mine@daily.html", "notes.txt", ".x.new"),
    }
    assert (folder / "logo.svg").exists()


def test_a_page_that_was_cut_off_is_written_again(folder: Path) -> None:
    """As by a crash of the machine, also one that left an empty file."""
    fleet = make_fleet(3)
    write_page(folder, fleet)
    whole = {path: path.read_bytes() for path in folder.rglob("*.html")}
    os.truncate(folder / "index.html", 5000)
    os.truncate(folder / "client/laptop0000@daily.html", 0)
    with (folder / "client/laptop0001@daily.html").open("r+b") as file:
        file.truncate(4096)
    assert write_page(folder, fleet).written == 3
    assert {path: path.read_bytes() for path in whole} == whole


def test_a_kill_in_the_middle_leaves_whole_pages_and_the_next_write_removes_the_rest(
    folder: Path,
) -> None:
    """Whenever it comes."""
    writer = subprocess.Popen(program(WRITE, str(folder), "3000"), env=ENVIRON)
    below = folder / "client"
    try:
        until(lambda: below.exists() and sum(1 for _ in below.iterdir()) > 20, "some pages")
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    assert not (folder / "index.html").exists()
    assert all(digest_of(path) for path in below.glob("[!.]*.html"))
    write_page(folder, make_fleet(8))
    for left in (folder / ".index.html.new", below / ".laptop0007@daily.html.new"):
        left.write_text("<!doctype html><!-- asynca")
    assert write_page(folder, make_fleet(8)).written == 0
    assert pages(folder) == [f"laptop000{n}@daily.html" for n in range(8)]
    assert not list(folder.rglob(".*.new"))


def test_who_reads_meanwhile_has_a_whole_page(folder: Path) -> None:
    """The old one or the new one."""
    write_page(folder, make_fleet(2))
    both = (folder / "index.html", folder / "client/laptop0001@daily.html")
    seen: list[str] = []
    is_over = threading.Event()

    def read() -> None:
        while not is_over.is_set():
            seen.extend(map(digest_of, both))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for count in range(20):
            write_page(folder, make_fleet(2), host=f"server{count}")
    finally:
        is_over.set()
        reader.join()
    assert seen
    assert all(seen)


def test_a_full_disk_leaves_the_page_as_it_was(folder: Path) -> None:
    """It is said so, nothing is left of the try, and the next one that has room succeeds."""
    inner = program(FILL_UP, str(folder))
    mount = 'mount -t tmpfs -o size=600k small "$1" && shift && exec "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "bash", "-c", mount, "bash", str(folder), *inner],
        env=ENVIRON,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said, left, written = done.stdout.splitlines()
    assert said == f"page-not-written {folder} cannot be written: No space left on device"
    assert left == "[]"
    assert int(written) >= 1


def test_no_link_in_the_folder_is_followed(folder: Path, tmp_path: Path) -> None:
    """Neither for a page, nor for what becomes one, nor for the folder of the clients."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    fleet = make_fleet(2)
    (folder / "client").mkdir()
    (folder / "client/.laptop0000@daily.html.new").symlink_to(victim)
    (folder / ".index.html.new").symlink_to(victim)
    (folder / "client/laptop0001@daily.html").symlink_to(victim)
    error = refused(folder, fleet)
    assert error.reference == "page-not-ours"
    assert "client/laptop0001@daily.html is no page of asyncamanda's" in error.message
    assert digest_of(folder / "index.html")  # all else is up to date
    assert digest_of(folder / "client/laptop0000@daily.html")
    (folder / "client/laptop0001@daily.html").unlink()
    assert write_page(folder, fleet).written == 1
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("name", ["index.html", "client"])
def test_a_link_instead_of_a_page_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    """Though it leads to a page, or to an empty folder."""
    other = tmp_path / "other"
    other.mkdir()
    write_page(other, make_fleet(1))
    (folder / name).symlink_to(other / name)
    before = stamps(other)
    assert f"{name} is no page of asyncamanda's" in refused(folder, make_fleet(2)).message
    assert stamps(other) == before
    assert (folder / name).is_symlink()


def test_a_planted_lock_is_not_followed_either(folder: Path, tmp_path: Path) -> None:
    """It would be made elsewhere."""
    (folder / ".asyncamanda.lock").symlink_to(tmp_path / "made")
    with pytest.raises(LaterError, match="cannot be written: Too many levels of symbolic links"):
        write_page(folder, make_fleet(1))
    assert not (tmp_path / "made").exists()


def test_another_page_in_the_folder_is_not_replaced(folder: Path) -> None:
    """Such as the one that a web server brings with it."""
    (folder / "index.html").write_text(FOREIGN)
    error = refused(folder, make_fleet(1))
    assert error.reference == "page-not-ours"
    assert error.hint == "move it away, or name another folder"
    assert (folder / "index.html").read_text() == FOREIGN
    assert not (folder / "client").exists()


def test_a_folder_that_is_not_there_is_named_with_what_makes_it(tmp_path: Path) -> None:
    """For the user who writes the page."""
    error = refused(tmp_path / "no where", make_fleet(1))
    assert error.reference == "page-folder"
    assert error.message.endswith("no where: No such file or directory")
    assert error.hint == f"as root: install -d -o root -m 755 '{tmp_path}/no where'"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a folder of root's that others can enter."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as made:
        Path(made).chmod(0o755)
        yield Path(made)


def test_a_folder_of_somebody_elses_is_refused(open_folder: Path) -> None:
    """To who may not write there."""
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        os.setuid(NOBODY)
        try:
            write_page(open_folder, make_fleet(1))
        except AsyncamandaError as error:
            os.write(writes, f"{error.reference}: {error.message}; {error.hint}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    said = os.read(reads, 1000).decode()
    os.close(reads)
    os.close(writes)
    assert said == (
        f"page-folder: the page cannot be written into {open_folder}: Permission denied; "
        f"as root: install -d -o nobody -m 755 {open_folder}"
    )


def test_two_at_once_write_one_after_the_other(folder: Path) -> None:
    """And both end with the same page."""
    writers = [
        subprocess.Popen(program(WRITE, str(folder), "60"), env=ENVIRON, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    assert [writer.wait() for writer in writers] == [0, 0]
    for writer in writers:
        assert writer.stdout
        writer.stdout.close()
    assert len(pages(folder)) == 60


def test_the_page_of_server_toml_is_kept_and_without_one_nothing_is(folder: Path) -> None:
    """By whatever has looked at the fleet."""
    keep_page(ServerConfig(), make_fleet(1))
    assert list(folder.iterdir()) == []
    keep_page(ServerConfig(page=PagePlace(str(folder))), make_fleet(1))
    assert os.uname().nodename in (folder / "index.html").read_text("utf-8")


def test_a_refresh_writes_it_where_server_toml_names_a_folder(folder: Path, tmp_path: Path) -> None:
    """As one of its steps."""
    step = next(each for each in STEPS if each.what == "writing the page")
    config = ServerConfig(page=PagePlace(str(folder)))
    assert (step.is_wanted(ServerConfig()), step.is_wanted(config)) == (False, True)
    ledger = Ledger.open(str(tmp_path / "ledger.sqlite"), timedelta(seconds=5))
    try:
        step.do(config, ledger, make_fleet(2))
    finally:
        ledger.close()
    assert len(pages(folder)) == 2


def test_five_thousand_clients_are_less_than_two_megabytes() -> None:
    """Compressed, as a web server sends it."""
    page = Renderer(make_fleet(5000)).make_index().make()
    assert page.count(b'<tr role="row" data-state') == 5000
    assert len(gzip.compress(page, 6)) < 2_000_000


RENDER = """
import sys
sys.path.insert(0, sys.argv[1])
from asyncamanda.server.fleet import page_folder
assert page_folder.__file__.startswith(sys.argv[1])
assert "jinja2" not in sys.modules
from asyncamanda.report.html.render import Renderer
from tests.fleets import make_fleet
renderer = Renderer(make_fleet(1))
print(len(renderer.make_index().make()), len(next(renderer.make_clients()).make()))
"""


def test_the_page_is_made_from_an_archive_as_well(tmp_path: Path) -> None:
    """Templates are read as the package's own; Jinja2 is loaded by who makes a page, and only then.

    It takes longer to load than most commands to run.
    """
    archive = shutil.make_archive(str(tmp_path / "all"), "zip", ROOT / "src")
    done = subprocess.run(
        program(RENDER, archive),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    index = Renderer(make_fleet(1)).make_index().make()
    assert int(done.stdout.split()[0]) == len(index)


def test_what_is_installed_has_the_templates() -> None:
    """All of them: pip takes no other files than pyproject.toml names."""
    source = ROOT / "src/asyncamanda/report/html/templates"
    sites = list(Path(os.environ["ASYNCAMANDA_INSTALLED"]).glob("lib/python3*/site-packages"))
    assert len(sites) == 1
    installed = sites[0] / "asyncamanda/report/html/templates"
    assert {path.name for path in installed.iterdir()} == {path.name for path in source.iterdir()}
