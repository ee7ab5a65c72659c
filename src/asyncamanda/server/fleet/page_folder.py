"""The folder of the fleet's page: what changed is written, each file whole or not at all.

Web servers read it, and others may write in it. So no link in it is followed, and what is no
page of asyncamanda's (report/html/files.py) is neither replaced nor removed.
"""

import errno
import fcntl
import os
import pwd
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from asyncamanda.config.server import ServerConfig
from asyncamanda.core.fleet.standing import FleetView
from asyncamanda.core.values.shellwords import quote_word
from asyncamanda.errors import LaterError, RefusedError
from asyncamanda.report.html import files
from asyncamanda.system.clock import now
from asyncamanda.system.files import open_folder, replace_in_parts, replace_quickly
from asyncamanda.system.locks import LOOK_SECONDS

if TYPE_CHECKING:
    from asyncamanda.report.html.render import PageFile

MODE, FOLDER_MODE, PRIVATE = 0o644, 0o755, 0o600
LOCK = ".asyncamanda.lock"
PATIENCE = timedelta(seconds=10)  # with another one that writes the same page
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOREIGN = {errno.ELOOP, errno.ENXIO, errno.EACCES}  # a link, a socket, another's


@dataclass(frozen=True, slots=True)
class WrittenPage:
    """What came of writing: how many files were `written` and `removed`, of how many `clients`."""

    clients: int
    written: int
    removed: int


def keep_page(config: ServerConfig, view: FleetView) -> None:
    """Write the page if server.toml wants one. Raises as write_page()."""
    if config.page.folder:
        write_page(Path(config.page.folder), view, socket.gethostname())


def write_page(path: Path, view: FleetView, host: str = "") -> WrittenPage:
    """Bring the page of the fleet in the folder `path` up to date; `host` is this server's name.

    A file whose page says the same is not written. Raises RefusedError if the folder is not there,
    may not be written or has another's file where a page is to be, and LaterError if the page
    cannot be written now, or somebody else writes it. Each page that is there stays whole.
    """
    from asyncamanda.report.html.render import Renderer  # noqa: PLC0415 - loads much

    try:
        folder = open_folder(path)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        with _locked(folder, path):
            _refuse_foreign_index(folder, path)
            _sweep(folder)
            renderer = Renderer(view, host)
            return _write_all(folder, path, renderer.make_index(), renderer.make_clients())
    except PermissionError as error:
        raise _unusable(path, error) from error
    except OSError as error:
        raise LaterError(
            "page-not-written",
            f"{path} cannot be written: {error.strerror}",
            "each page that is there stays whole; is there room, and is anything in its way?",
        ) from error
    finally:
        os.close(folder)


def _unusable(path: Path, error: OSError) -> RefusedError:
    user = pwd.getpwuid(os.geteuid()).pw_name
    return RefusedError(
        "page-folder",
        f"the page cannot be written into {path}: {error.strerror}",
        f"as root: install -d -o {user} -m 755 {quote_word(str(path))}",
    )


def _not_ours(path: Path) -> RefusedError:
    return RefusedError(
        "page-not-ours",
        f"{path} is no page of asyncamanda's, and stays as it is",
        "move it away, or name another folder",
    )


@contextmanager
def _locked(folder: int, path: Path) -> Iterator[None]:
    """Hold the folder's lock, which only the user who writes the page can open."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(LOCK, flags, PRIVATE, dir_fd=folder)
    try:
        give_up_at = now() + PATIENCE
        while not _lock(descriptor):
            if now() >= give_up_at:
                raise LaterError(
                    "page-busy",
                    f"another asyncamanda is writing the page in {path}",
                    "try again in a moment",
                )
            time.sleep(LOOK_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _refuse_foreign_index(folder: int, path: Path) -> None:
    if not _look(folder, files.INDEX).is_free:
        raise _not_ours(path / files.INDEX)


def _write_all(
    folder: int, path: Path, index: "PageFile", clients: Iterator["PageFile"]
) -> WrittenPage:
    """Write the clients' pages, then the one that leads to them, and remove those of nobody."""
    written, wanted, foreign = 0, set(), ""
    below = _open_clients(folder, path)
    try:
        _sweep(below)
        for page in clients:
            wanted.add(page.name)
            found = _look(below, page.name)
            if not found.is_free:
                foreign = foreign or page.name
            elif found.digest != page.digest:
                replace_quickly(below, page.name, page.make(), MODE)
                written += 1
        if _look(folder, index.name).digest != index.digest:
            replace_in_parts(folder, index.name, [index.make()], MODE)
            written += 1
        removed = _remove_gone(below, wanted)
    finally:
        os.close(below)
    if foreign:
        raise _not_ours(path / files.CLIENTS / foreign)
    return WrittenPage(len(wanted), written, removed)


def _open_clients(folder: int, path: Path) -> int:
    """Return the folder of the clients' pages, which is made if it is not there."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(files.CLIENTS, flags, dir_fd=folder)
    except NotADirectoryError as error:  # a link is none either
        raise _not_ours(path / files.CLIENTS) from error
    except FileNotFoundError:
        os.mkdir(files.CLIENTS, FOLDER_MODE, dir_fd=folder)
    descriptor = os.open(files.CLIENTS, flags, dir_fd=folder)
    os.fchmod(descriptor, FOLDER_MODE)  # whatever the umask
    return descriptor


@dataclass(frozen=True, slots=True)
class FoundFile:
    """What has a page's name: may a page take its place, and whose digest does it have?"""

    is_free: bool
    digest: str = ""


def _look(folder: int, name: str) -> FoundFile:
    """Return what is there by that name. Raises OSError if that cannot be found out."""
    try:
        descriptor = os.open(name, _READ, dir_fd=folder)
    except FileNotFoundError:
        return FoundFile(is_free=True)
    except OSError as error:
        if error.errno in _FOREIGN:
            return FoundFile(is_free=False)
        raise
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return FoundFile(is_free=False)
        head = os.pread(descriptor, files.HEAD_BYTES, 0)
        at = max(0, status.st_size - files.TAIL_BYTES)
        tail = os.pread(descriptor, files.TAIL_BYTES, at)
        return FoundFile(files.is_ours(head), files.read_digest(head, tail, status.st_size))
    finally:
        os.close(descriptor)


def _sweep(folder: int) -> None:
    """Remove what a write that was killed has left of a page."""
    for name in os.listdir(folder):
        page = name.removeprefix(".").removesuffix(".new")
        is_left = name == f".{page}.new" and (page == files.INDEX or files.is_page_name(page))
        if is_left and stat.S_ISREG(os.lstat(name, dir_fd=folder).st_mode):
            _remove(folder, name)


def _remove_gone(folder: int, wanted: set[str]) -> int:
    """Remove the pages of clients that are not there any more; return how many."""
    removed = 0
    for name in os.listdir(folder):
        if name not in wanted and files.is_page_name(name) and _look(folder, name).digest:
            _remove(folder, name)
            removed += 1
    return removed


def _remove(folder: int, name: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)
