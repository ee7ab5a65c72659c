"""An export that was read from its beginning to its end, and found whole, before it is used."""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from asyncamanda import __version__
from asyncamanda.core.export.manifest import (
    ExportedMember,
    ExportHead,
    TooNew,
    parse_head,
    parse_manifest,
)
from asyncamanda.core.export.members import HEAD, HOST_KEYS, LEDGER, MANIFEST, REGISTRY, SERVER_TOML
from asyncamanda.errors import ConfigurationError, RefusedError
from asyncamanda.server.export.archive import ReadMember, bad_export, read_members
from asyncamanda.server.export.sealing import BEGINNINGS, unsealing
from asyncamanda.server.ledger.schema import FORMAT as LEDGER_FORMAT

LARGEST_TEXT = 16_000_000  # bytes of what is read into memory
LARGEST_MANIFEST = 256_000_000
_SMALL = {HEAD, SERVER_TOML, REGISTRY}


@dataclass(frozen=True, slots=True)
class ExportFile:
    """Where an export is, and the files of secret keys that may decrypt it."""

    path: Path
    identities: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class VerifiedExport:
    """An export that is whole. `texts` are its small members, `members` all but head and manifest.

    `digest` tells it from every other.
    """

    file: ExportFile
    head: ExportHead
    members: dict[str, ExportedMember]
    digest: str
    texts: dict[str, bytes] = field(repr=False)
    is_encrypted: bool = False

    @property
    def size(self) -> int:
        """The bytes of all members."""
        return sum(each.size for each in self.members.values())

    @property
    def host_keys(self) -> dict[str, bytes]:
        """The host keys in it, by their files' names."""
        head = f"{HOST_KEYS}/"
        return {
            name.removeprefix(head): text
            for name, text in self.texts.items()
            if name.startswith(head)
        }


@contextmanager
def reading(file: ExportFile) -> Iterator[Iterator[ReadMember]]:
    """Yield the members of an export, decrypted if need be.

    Raises RefusedError if it cannot be read, BadDataError if it is none, and as unsealing().
    """
    descriptor, is_encrypted = _open(file.path)
    try:
        if is_encrypted:
            with unsealing(file.identities, descriptor) as source:
                yield read_members(source)
        else:
            with open(descriptor, "rb", closefd=False) as source:
                yield read_members(source)
    finally:
        os.close(descriptor)


def _open(path: Path) -> tuple[int, bool]:
    """Return a descriptor of an export's file, and whether it is encrypted."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise RefusedError(
            "export-unreadable",
            f"{path} cannot be read: {error.strerror}",
            "is it there, and may this user read it?",
        ) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise bad_export(f"{path} is no regular file")
    start = os.pread(descriptor, 64, 0)
    return descriptor, start.startswith(BEGINNINGS)


def verify(file: ExportFile) -> VerifiedExport:
    """Read an export from end to end; return what it is.

    Raises BadDataError if anything of it is not as its manifest says, ConfigurationError if it is
    of a newer asyncamanda, and as reading().
    """
    texts: dict[str, bytes] = {}
    found: dict[str, tuple[int, str]] = {}
    with reading(file) as members:
        for number, member in enumerate(members):
            if (number == 0) != (member.name == HEAD) or MANIFEST in texts:
                raise bad_export("its members are in another order than an export's")
            if member.name in _SMALL or member.name.startswith(HOST_KEYS):
                texts[member.name] = _read_text(member, LARGEST_TEXT)
                found[member.name] = member.size, sha256(texts[member.name]).hexdigest()
            elif member.name == MANIFEST:
                texts[MANIFEST] = _read_text(member, LARGEST_MANIFEST)
            else:
                found[member.name] = member.size, _digest(member)
            if number == 0:
                head = _parse_head(texts[HEAD])
    if MANIFEST not in texts:
        raise bad_export("it has no manifest")
    manifest = _parse_manifest(texts[MANIFEST])
    if {name: (each.size, each.sha256) for name, each in manifest.items()} != found:
        raise bad_export("what is in it is not what its manifest says")
    _check_ledger(head, manifest)
    digest = sha256(texts.pop(MANIFEST)).hexdigest()
    del manifest[HEAD]
    return VerifiedExport(file, head, manifest, digest, texts, _is_encrypted(file.path))


def _is_encrypted(path: Path) -> bool:
    descriptor, is_encrypted = _open(path)
    os.close(descriptor)
    return is_encrypted


def _read_text(member: ReadMember, largest: int) -> bytes:
    if member.size > largest:
        raise bad_export(f"{member.name} is larger than any export's")
    return b"".join(member.pieces)


def _digest(member: ReadMember) -> str:
    digest = sha256()
    for piece in member.pieces:
        digest.update(piece)
    return digest.hexdigest()


def _parse_head(text: bytes) -> ExportHead:
    try:
        return parse_head(text)
    except TooNew as error:
        raise _too_new(error.version) from error
    except (ValueError, RecursionError) as error:
        raise bad_export(str(error)) from error


def _parse_manifest(text: bytes) -> dict[str, ExportedMember]:
    try:
        return parse_manifest(text)
    except (ValueError, RecursionError) as error:
        raise bad_export(str(error)) from error


def _check_ledger(head: ExportHead, manifest: dict[str, ExportedMember]) -> None:
    if (head.ledger_format is None) == (LEDGER in manifest):
        raise bad_export("its head does not fit its ledger")
    if head.ledger_format is not None and head.ledger_format > LEDGER_FORMAT:
        raise _too_new(head.version)


def _too_new(version: str) -> ConfigurationError:
    return ConfigurationError(
        "export-too-new",
        f"the export was made by asyncamanda {version}, and this one, {__version__}, is older",
        "install that version, or a newer one, and import it with that; nothing was changed",
    )
