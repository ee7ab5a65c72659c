"""Encrypting an export, and decrypting it: by age, Debian's program, from and to descriptors."""

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO

from asyncamanda.core.values.printable import printable
from asyncamanda.errors import AsyncamandaError, BadDataError, ConfigurationError, RefusedError
from asyncamanda.system.programs import plain_environ

# what age 1.1.1 says where it has no key that fits; all else is about the file
_OF_IDENTITIES = ("identity", "identities", 'reading "', "passphrase")
BEGINNINGS = (b"age-encryption.org/", b"-----BEGIN AGE ENCRYPTED FILE-----")


def plan_encryption(recipients: Sequence[str]) -> list[str]:
    """Return the argv that encrypts to these; what begins with / is a file of recipients."""
    argv = ["age", "--encrypt"]
    for one in recipients:
        argv += ["--recipients-file" if one.startswith("/") else "--recipient", one]
    return argv


@contextmanager
def sealing(recipients: Sequence[str], output: int) -> Iterator[IO[bytes]]:
    """Yield a file: what is written there arrives at `output`, encrypted if there are recipients.

    Raises ConfigurationError if age is missing or takes none of the recipients, OSError.
    """
    if not recipients:
        with open(output, "wb", closefd=False) as file:
            yield file
        return
    with tempfile.TemporaryFile() as said:
        process = _start(plan_encryption(recipients), stdin=subprocess.PIPE, out=output, said=said)
        assert process.stdin
        try:
            yield process.stdin
            process.stdin.close()
        except BrokenPipeError as error:
            process.wait()
            raise _failed(said) from error
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            with suppress(OSError):  # what it still holds has nobody to go to
                process.stdin.close()
        if process.wait() != 0:
            raise _failed(said)


@contextmanager
def unsealing(identities: Sequence[str], source: int) -> Iterator[IO[bytes]]:
    """Yield what is in the encrypted file `source`, as it is decrypted; age may ask for a word.

    Raises ConfigurationError if age is missing, RefusedError if it cannot decrypt.
    """
    argv = ["age", "--decrypt"]
    for one in identities:
        argv += ["--identity", one]
    with tempfile.TemporaryFile() as said:
        process = _start(argv, stdin=source, out=subprocess.PIPE, said=said)
        assert process.stdout
        try:
            yield process.stdout
            rest = process.stdout.read(1)
        except AsyncamandaError as error:
            if process.poll() or process.wait(5):
                raise _undecrypted(said) from error
            raise
        finally:
            process.stdout.close()
            process.kill()
            status = process.wait()
        if status > 0 or (rest and status):
            raise _undecrypted(said)


def _start(argv: list[str], *, stdin: int, out: int, said: IO[bytes]) -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(
            argv, stdin=stdin, stdout=out, stderr=said, env=plain_environ(), cwd="/"
        )
    except OSError as error:
        raise ConfigurationError(
            "no-age",
            f"{argv[0]}, which encrypts exports, cannot be run: {error.strerror}",
            "as root: apt install age",
        ) from error


def _words(said: IO[bytes]) -> str:
    said.seek(0)
    lines = said.read(2000).decode("utf-8", "replace").strip().splitlines()
    return printable(lines[0]) if lines else "it says nothing"


def _failed(said: IO[bytes]) -> AsyncamandaError:
    words = _words(said)
    if "no space left" in words:
        return RefusedError(
            "export-not-written", f"the export cannot be written: {words}", "make room, and again"
        )
    return ConfigurationError(
        "not-encrypted",
        f"the export cannot be encrypted: {words}",
        "is it a recipient of age's (age1...), an ssh public key, or the path of a file of these?",
    )


def _undecrypted(said: IO[bytes]) -> AsyncamandaError:
    words = _words(said)
    if not any(word in words for word in _OF_IDENTITIES):
        return BadDataError(
            "bad-export", f"the export is cut or damaged: {words}", "take another copy of it"
        )
    return RefusedError(
        "not-decrypted",
        f"the export cannot be decrypted: {words}",
        "--identity names the file of the secret key that belongs to what it was encrypted to",
    )
