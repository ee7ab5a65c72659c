"""Who may connect: the Amanda user's authorized_keys is the registry, and nothing else is kept.

What ssh needs to find the clients (ssh_aliases.py) is made from it at every change.
A line of ours is known by its forced command. Every other line stays as it is, byte for byte.
How a line is read: sshd(8), "AUTHORIZED_KEYS FILE FORMAT", and OpenSSH's auth2-pubkeyfile.c.
"""

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from asyncamanda import quick
from asyncamanda.core.protocol.authority import DIRECT, Identity, parse_identity
from asyncamanda.core.ssh.publickey import PublicKey
from asyncamanda.core.values.printable import printable
from asyncamanda.errors import AsyncamandaError, BadDataError, LaterError, RefusedError
from asyncamanda.server.enrol.ssh_aliases import write_aliases
from asyncamanda.system.account import find_user
from asyncamanda.system.clock import now
from asyncamanda.system.files import write_whole

LOCK_WITHIN = timedelta(seconds=10)
LOCK_POLL = 0.05  # seconds

_LINE = re.compile(r"[^\n]*\n|[^\n]+")  # str.splitlines() would cut at many other characters
# options end at the first blank outside of quotes, in which \" is a quote
_OPTIONS = re.compile(r'(?:\\"|"(?:\\"|[^"])*+"|[^ \t"])*+')
_OPTION = re.compile(r'(?P<name>[A-Za-z0-9-]+)(?:="(?P<value>(?:\\"|[^"])*+)")?(?:,|$)')
_KEY = re.compile(r"(?P<type>[a-z0-9@.-]+)[ \t]+(?P<key>[A-Za-z0-9+/=]+)(?:[ \t]+(?P<comment>.*))?")
_SKIPPED = str.maketrans("", "", "\r\v\f")  # b64_pton() reads over them within a key


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A client that may connect: for which Amanda configuration, and with which key.

    `is_direct`: Amanda reaches it by itself, and not by the relay.
    """

    client: str
    amanda_config: str
    key: PublicKey
    is_direct: bool = False

    @property
    def identity(self) -> Identity:
        """Who it is, by its key."""
        return Identity(self.client, self.amanda_config)


# -- what the text says, and what it would be


def parse_line(line: str) -> Enrolled | None:
    """Return whom a line of authorized_keys lets in, or None if it is not one of ours.

    Options that somebody added, such as from="...", and a program's whole path make it no less
    ours; a key that cannot be read does not, for sshd lets nobody in with it.
    """
    line = line.strip(" \t\r\n")
    if line.startswith("#"):
        return None
    options = _OPTIONS.match(line)
    assert options
    commands = [
        option["value"] or ""
        for option in _OPTION.finditer(options[0])
        if option["name"].lower() == "command"
    ]
    key = _KEY.fullmatch(line[options.end() :].lstrip(" \t"))
    if len(commands) != 1 or not key:
        return None
    identity = _parse_command(commands[0])
    if identity is None:
        return None
    public = PublicKey(key["type"], key["key"], key["comment"] or "")
    is_direct = commands[0].split()[-1] == DIRECT
    return Enrolled(identity.client, identity.amanda_config, public, is_direct)


def _parse_command(command: str) -> Identity | None:
    """Return whom a forced command lets in, or None if it is not ours."""
    program, *words = command.split() or [""]
    if program.rpartition("/")[2] != "asyncamanda" or words[:1] != ["gate"]:
        return None
    try:
        return parse_identity(words[1:])
    except ValueError:
        return None


def parse_registry(text: str) -> tuple[Enrolled, ...]:
    """Return whom authorized_keys with this `text` lets in, in its order."""
    return tuple(entry for line in _LINE.findall(text) if (entry := parse_line(line)))


def render_line(entry: Enrolled) -> str:
    """Return the line, with its end, that lets a client in: to the gate, and nothing else."""
    command = f"asyncamanda gate --client {entry.client} --amanda-config {entry.amanda_config}"
    command += f" {DIRECT}" if entry.is_direct else ""
    key = entry.key
    return f'restrict,command="{command}" {key.key_type} {key.key} {key.comment or entry.client}\n'


def plan_enroll(text: str, entry: Enrolled, *, is_replacing: bool = False) -> str:
    """Return authorized_keys with `entry` in it; the same text if it lets it in already.

    With `is_replacing`, what let this client in before goes. Raises RefusedError if the key is
    anybody else's, or the client is enrolled otherwise.
    """
    lines = _LINE.findall(text)
    entries = [parse_line(line) for line in lines]
    own = [found for found in entries if found and found.client == entry.client]
    for number, (line, found) in enumerate(zip(lines, entries, strict=True), 1):
        if _holds_key(line, entry.key.key) and not (found and found.client == entry.client):
            raise _not_its_own(number, found)
    alike = [one for one in own if _is_alike(one, entry)]
    if alike and len(alike) == len(own):
        if all(one.is_direct == entry.is_direct for one in alike):
            return text
        is_replacing = True  # it is the same client, by the same key
    if own and not is_replacing:
        raise _enrolled_otherwise(own[0], entry)
    kept = [
        line
        for line, found in zip(lines, entries, strict=True)
        if not (found and found.client == entry.client)
    ]
    if kept and not kept[-1].endswith("\n"):
        kept[-1] += "\n"
    return "".join([*kept, render_line(entry)])


def plan_revoke(text: str, client: str) -> str:
    """Return authorized_keys without the lines that let `client` in."""
    return "".join(
        line
        for line in _LINE.findall(text)
        if not ((found := parse_line(line)) and found.client == client)
    )


def _holds_key(line: str, key: str) -> bool:
    """Return whether `key` stands anywhere in a line that is no comment: more than sshd would."""
    line = line.translate(_SKIPPED).strip(" \t\n")
    return not line.startswith("#") and key in line.replace("\t", " ").split(" ")


def _is_alike(one: Enrolled, other: Enrolled) -> bool:
    return (one.identity, one.key.key) == (other.identity, other.key.key)


def _not_its_own(number: int, found: Enrolled | None) -> RefusedError:
    whose = f"{found.client}'s" if found else f"in line {number} of authorized_keys"
    return RefusedError(
        "key-in-use",
        f"this key is {whose} already, and a key identifies one client",
        "make another one on the client: ssh-keygen -t ed25519, as the Amanda user",
    )


def _enrolled_otherwise(found: Enrolled, entry: Enrolled) -> RefusedError:
    how = "with another key" if found.identity == entry.identity else f"for {found.amanda_config}"
    return RefusedError(
        "enrolled-already",
        f"{entry.client} is enrolled already, {how} ({found.key.key_type}, "
        f"{printable(found.key.comment)})",
        f"--replace replaces that key; or first: asyncamanda server revoke {entry.client}",
    )


# -- the file


def registry_path(user: str) -> Path:
    """Return where sshd looks for the keys of `user`. Raises ConfigurationError: no such user."""
    return Path(find_user(user).pw_dir, ".ssh", "authorized_keys")


def read_registry(path: Path) -> tuple[Enrolled, ...]:
    """Return whom authorized_keys lets in; nobody if there is no such file.

    Raises RefusedError if it cannot be read.
    """
    return parse_registry(_read_text(path))


def enroll(path: Path, entry: Enrolled, *, is_replacing: bool = False) -> bool:
    """Let a client in, as plan_enroll() says; return whether that changed anything.

    To be called as the account whose file it is. Raises what plan_enroll() raises,
    RefusedError if the file cannot be written, and LaterError if somebody else is changing it.
    """
    with _changing(path):
        before = _read_text(path)
        after = plan_enroll(before, entry, is_replacing=is_replacing)
        _write_aliases(path, after)
        _write_text(path, before, after)
    return before != after


def check_enroll(path: Path, entry: Enrolled, *, is_replacing: bool = False) -> None:
    """Raise what enroll() would raise about the client and its key; change nothing."""
    plan_enroll(_read_text(path), entry, is_replacing=is_replacing)


def revoke(path: Path, client: str) -> tuple[Enrolled, ...]:
    """Let a client in no more; return what let it in, nothing if nothing did.

    To be called as the account whose file it is. Raises RefusedError if the file cannot be
    written, and LaterError if somebody else is changing it.
    """
    with _changing(path):
        before = _read_text(path)
        after = plan_revoke(before, client)
        _write_text(path, before, after)
        _write_aliases(path, after)
    return tuple(entry for entry in parse_registry(before) if entry.client == client)


def relayed_clients(entries: Iterable[Enrolled]) -> tuple[str, ...]:
    """Return the clients that Amanda reaches by the relay, in their order, each once."""
    return tuple(dict.fromkeys(entry.client for entry in entries if not entry.is_direct))


class Registry:
    """The registry as the dispatcher asks it: read anew when the file has changed.

    While it cannot be read, for want of descriptors or of rights, nobody knows who may come in: all
    of it but last_known() raises LaterError then, which is no refusal.
    """

    def __init__(self, path: Path) -> None:
        """`path`: of authorized_keys."""
        self._path = path
        self._seen: str | None = None
        self._entries: tuple[Enrolled, ...] = ()

    def contains(self, identity: Identity) -> bool:
        """Return whether this client may come in, for this Amanda configuration."""
        return any(entry.identity == identity for entry in self.entries())

    def is_relayed(self, identity: Identity) -> bool:
        """Return whether Amanda reaches this client by the relay."""
        found = (entry for entry in self.entries() if entry.identity == identity)
        return any(not entry.is_direct for entry in found)

    def clients(self) -> tuple[str, ...]:
        """Return the names of all clients, in the file's order, each once."""
        return tuple(dict.fromkeys(entry.client for entry in self.entries()))

    def entries(self) -> tuple[Enrolled, ...]:
        """Return all that may come in, in the file's order."""
        seen = quick.glimpse(str(self._path))
        if seen != self._seen:
            try:
                self._entries = read_registry(self._path)
            except AsyncamandaError as error:
                self._seen = None  # and looks again
                raise LaterError("registry-unreadable", error.message, error.hint) from error
            else:
                self._seen = seen
        return self._entries

    def last_known(self) -> tuple[Enrolled, ...]:
        """Return the same; while the file cannot be read as it was before, nobody if it never was.

        For what goes on with those who are in, and lets nobody in.
        """
        with contextlib.suppress(LaterError):
            return self.entries()
        return self._entries


@contextlib.contextmanager
def _changing(path: Path) -> Iterator[None]:
    """Be the only one of us who changes the file: the lock is on its folder, and leaves nothing."""
    try:
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _unusable(path.parent, error) from error
    try:
        give_up_at = now() + LOCK_WITHIN
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if now() >= give_up_at:
                    raise LaterError(
                        "registry-locked",
                        f"{path} is being changed by another asyncamanda",
                        f"`fuser -v {path.parent}` names who; try again",
                    ) from error
            time.sleep(LOCK_POLL)
        yield
    finally:
        os.close(descriptor)


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise _unusable(path, error) from error


def _write_text(path: Path, before: str, after: str) -> None:
    if after == before:
        return
    try:
        write_whole(path.resolve(), after, 0o600)  # a link stays one
    except OSError as error:
        raise _unusable(path, error) from error


def _write_aliases(path: Path, text: str) -> None:
    try:
        write_aliases(path.parent, relayed_clients(parse_registry(text)))
    except OSError as error:
        raise _unusable(path.parent, error) from error


def _unusable(path: Path, error: OSError) -> AsyncamandaError:
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
