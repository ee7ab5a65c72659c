"""Exports are encrypted by the real age, and what it says of a bad one is understood."""

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.system.exports import EXPORT_HEAD, FILES, pack, plan_entries

from asyncamanda.errors import AsyncamandaError
from asyncamanda.server.export.sealing import sealing
from asyncamanda.server.export.verified import ExportFile, verify


class Key(NamedTuple):
    """A key of age's: the file of the secret part, and the public one."""

    identity: str
    recipient: str


def make_key(path: Path) -> Key:
    """Make one."""
    subprocess.run(["age-keygen", "-o", path], check=True, capture_output=True)
    done = subprocess.run(["age-keygen", "-y", path], check=True, capture_output=True, text=True)
    return Key(str(path), done.stdout.strip())


@pytest.fixture
def key(tmp_path: Path) -> Key:
    """Return a key."""
    return make_key(tmp_path / "identity")


def seal(path: Path, content: bytes, *recipients: str) -> Path:
    """Write content into a file, encrypted."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with sealing(recipients, descriptor) as file:
            file.write(content)
    finally:
        os.close(descriptor)
    return path


def test_who_has_the_secret_key_reads_it(tmp_path: Path, key: Key) -> None:
    """Of several recipients each; a file of them counts, too."""
    other = make_key(tmp_path / "other")
    (tmp_path / "recipients").write_text(f"# mine\n{other.recipient}\n")
    recipients = (key.recipient, str(tmp_path / "recipients"))
    path = seal(tmp_path / "export", pack(plan_entries()), *recipients)
    assert b"amanda" not in path.read_bytes()
    for each in (key, other):
        export = verify(ExportFile(path, [each.identity]))
        assert (export.head, export.is_encrypted) == (EXPORT_HEAD, True)
        assert {*export.members} == {*FILES}
    plain = seal(tmp_path / "plain", pack(plan_entries()))
    assert not verify(ExportFile(plain)).is_encrypted


def test_nobody_else_does(tmp_path: Path, key: Key) -> None:
    """Without a key, with another one, with one that is not there."""
    path = seal(tmp_path / "export", pack(plan_entries()), key.recipient)
    other = make_key(tmp_path / "other")
    for identities in ([], [other.identity], ["/nonexistent"]):
        with pytest.raises(AsyncamandaError) as error:
            verify(ExportFile(path, identities))
        assert error.value.reference == "not-decrypted", identities
        assert "--identity" in error.value.hint


def test_what_was_cut_or_changed_is_told(tmp_path: Path, key: Key) -> None:
    """Wherever it is: age says so itself, or what it decrypted so far is no whole export."""
    content = os.urandom(300_000)
    files = {"amanda/daily/log/log.1": content, "common/x": b"x"}
    whole = seal(tmp_path / "export", pack(plan_entries(files)), key.recipient).read_bytes()
    flipped = bytearray(whole)
    flipped[200_000] ^= 1
    for bad in (
        whole[:250_000],
        whole[:-1],
        whole[:70_000],
        whole[:50],
        bytes(flipped),
        whole + b"x",
    ):
        (tmp_path / "bad").write_bytes(bad)
        with pytest.raises(AsyncamandaError) as error:
            verify(ExportFile(tmp_path / "bad", [key.identity]))
        assert error.value.reference == "bad-export", len(bad)


def test_a_recipient_that_is_none_is_told(tmp_path: Path, key: Key) -> None:
    """Before or after anything was written."""
    for wrong in ("age1nobody", key.identity, "/nonexistent", "-o/etc/x"):
        for size in (0, 10_000_000):
            with pytest.raises(AsyncamandaError) as error:
                seal(tmp_path / "export", bytes(size), wrong)
            assert (error.value.reference, error.value.exit) == ("not-encrypted", 78), wrong
            assert "SECRET" not in error.value.message


def test_no_room_is_no_fault_of_a_recipient(key: Key) -> None:
    """It is age that writes."""
    with pytest.raises(AsyncamandaError) as error:
        seal(Path("/dev/full"), bytes(1_000_000), key.recipient)
    assert error.value.reference == "export-not-written"


def test_without_age_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing is written unencrypted."""
    monkeypatch.setattr("asyncamanda.system.programs.SEARCHED", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AsyncamandaError) as error:
        seal(tmp_path / "export", b"secret", "age1x")
    assert "apt install age" in error.value.hint
    assert (tmp_path / "export").read_bytes() == b""
