"""Who may connect: the Amanda user's authorized_keys is the registry, and nothing else is kept.

What ssh needs to find the clients (ssh_aliases.py) is made from it at every change.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

from asyncamanda import quick
from asyncamanda.core.protocol.authority import Identity
from asyncamanda.errors import AsyncamandaError, BadDataError, LaterError, RefusedError
from asyncamanda.server.enrol.enrolled import Enrolled, parse_registry, plan_revoke
from asyncamanda.server.enrol.folder_lock import hold_folder
from asyncamanda.server.enrol.ssh_aliases import write_aliases
from asyncamanda.system.account import find_user
from asyncamanda.system.files import write_whole

LOCK_WITHIN = timedelta(seconds=10)


def registry_path(user: str) -> Path:
    """Return where sshd looks for the keys of `user`. Raises ConfigurationError: no such user."""
    return Path(find_user(user).pw_dir, ".ssh", "authorized_keys")


def read_registry(path: Path) -> tuple[Enrolled, ...]:
    """Return who is enrolled in authorized_keys; nobody if there is no such file.

    Raises RefusedError if it cannot be read.
    """
    return parse_registry(read_text(path))


def change(path: Path, plan: Callable[[str], str]) -> bool:
    """Make of authorized_keys what `plan` makes of its text; return whether that is anything else.

    To be called as the account whose file it is. Raises what `plan` raises, RefusedError if the
    file cannot be written, and LaterError if somebody else is changing it.
    """
    with changing(path):
        before = read_text(path)
        after = plan(before)
        _write_aliases(path, after)
        write_text(path, before, after)
    return before != after


def check_change(path: Path, plan: Callable[[str], str]) -> None:
    """Raise what `plan` would raise about the file's text; change nothing."""
    plan(read_text(path))


def revoke(path: Path, client: str) -> tuple[Enrolled, ...]:
    """Revoke a client; return how it was enrolled, nothing if it was not.

    To be called as the account whose file it is. Raises RefusedError if the file cannot be
    written, and LaterError if somebody else is changing it.
    """
    with changing(path):
        before = read_text(path)
        after = plan_revoke(before, client)
        write_text(path, before, after)
        _write_aliases(path, after)
    return tuple(entry for entry in parse_registry(before) if entry.client == client)


def relayed_clients(entries: Iterable[Enrolled]) -> tuple[str, ...]:
    """Return the clients that Amanda reaches by the relay, in their order, each once."""
    return tuple(dict.fromkeys(entry.client for entry in entries if not entry.is_direct))


class Registry:
    """The registry as the dispatcher asks it: read again when the file has changed.

    While it cannot be read, for want of descriptors or of rights, nobody knows who may come in: all
    of it but last_known() raises LaterError then, which is no refusal.
    """

    def __init__(self, path: Path) -> None:
        """`path`: of authorized_keys."""
        self._path = path
        self._seen: str | None = None
        self._entries: tuple[Enrolled, ...] = ()
        self._own: dict[Identity, list[Enrolled]] = {}
        self._relayed: tuple[str, ...] = ()

    def contains(self, identity: Identity) -> bool:
        """Return whether this client may come in, for this Amanda configuration."""
        return any(entry.lost_at is None for entry in self.of(identity))

    def is_relayed(self, identity: Identity) -> bool:
        """Return whether Amanda reaches this client by the relay."""
        return any(not entry.is_direct for entry in self.of(identity))

    def of(self, identity: Identity) -> Sequence[Enrolled]:
        """Return how a client is enrolled for an Amanda configuration, by each of its keys."""
        self.entries()
        return self._own.get(identity, ())

    def last_relayed(self) -> tuple[str, ...]:
        """Return the clients of last_known() that Amanda reaches by the relay."""
        self.last_known()
        return self._relayed

    def entries(self) -> tuple[Enrolled, ...]:
        """Return all that may come in, in the file's order."""
        seen = quick.glimpse(str(self._path))
        if seen != self._seen:
            try:
                self._entries = read_registry(self._path)
            except AsyncamandaError as error:
                self._seen = None  # and looks again
                raise LaterError("registry-unreadable", error.message, error.hint) from error
            self._seen, self._own = seen, {}
            for entry in self._entries:
                self._own.setdefault(entry.identity, []).append(entry)
            self._relayed = relayed_clients(self._entries)
        return self._entries

    def last_known(self) -> tuple[Enrolled, ...]:
        """Return the same; while the file cannot be read as it was before, nobody if it never was.

        For what goes on with those who are connected; nobody is accepted by it.
        """
        with contextlib.suppress(LaterError):
            return self.entries()
        return self._entries


@contextlib.contextmanager
def changing(path: Path) -> Iterator[None]:
    """Be the only one of us who changes the file: the lock is on its folder, and leaves nothing.

    Raises what change() raises for a folder that cannot be used, or that another holds.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(hold_folder(path.parent, str(path), LOCK_WITHIN))
        except OSError as error:
            raise unusable(path.parent, error) from error
        yield


def read_text(path: Path) -> str:
    """Return a file's text, "" if there is none. Raises RefusedError if it cannot be read."""
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise unusable(path, error) from error


def write_text(path: Path, before: str, after: str) -> None:
    """Replace a file of this folder, if that changes it. Raises RefusedError if it cannot be."""
    if after == before:
        return
    try:
        write_whole(path.resolve(), after, 0o600)  # a link stays one
    except OSError as error:
        raise unusable(path, error) from error


def _write_aliases(path: Path, text: str) -> None:
    try:
        write_aliases(path.parent, relayed_clients(parse_registry(text)))
    except OSError as error:
        raise unusable(path.parent, error) from error


def unusable(path: Path, error: OSError) -> AsyncamandaError:
    """Return the error for a registry, or its folder, that cannot be opened or written."""
    if isinstance(error, FileNotFoundError):
        hint = "as root: asyncamanda server setup"
        return BadDataError("no-registry", f"{path} does not exist", hint)
    return RefusedError(
        "registry-unusable",
        f"{path} cannot be used by uid {os.geteuid()}: {error.strerror}",
        "this is for root or the Amanda user; if it is not that user's file, `asyncamanda server "
        "setup` fixes it"
        "",
    )
