"""One line with a public key, as ssh-keygen writes it, taken apart and checked.

Source: RFC 4253 section 6.6 (ssh-rsa), RFC 5656 section 3.1 (ecdsa-sha2-*), RFC 8709 section 4
(ssh-ed25519), and OpenSSH's PROTOCOL.u2f (sk-*).
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

LEAST_RSA, MOST_RSA = 2048, 16384  # bits; the latter is OpenSSH's own bound
LONGEST = 16_384  # characters
_POINTS = {"nistp256": 65, "nistp384": 97, "nistp521": 133}  # bytes of an uncompressed point
_PRIVATE = re.compile(r"PRIVATE KEY|PuTTY-User-Key-File", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key: its type, the key itself in base64, and the words after it."""

    key_type: str
    key: str
    comment: str = ""

    @property
    def fingerprint(self) -> str:
        """The fingerprint, as ssh-keygen -l prints it: "SHA256:..."."""
        digest = hashlib.sha256(base64.b64decode(self.key)).digest()
        return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def parse_public_key(text: str) -> PublicKey:
    """Return the key that `text`, one line, holds. Raises ValueError with what is wrong."""
    if _PRIVATE.search(text):
        raise ValueError("this is a private key, which never leaves its machine")
    line = text.strip(" \t\r\n")
    if "\n" in line or "\r" in line:
        raise ValueError("it has more than one line")
    if len(line) > LONGEST:
        raise ValueError(f"it is longer than {LONGEST} characters")
    key_type, _, rest = line.replace("\t", " ").partition(" ")
    if key_type not in _CHECKS:
        if any(word in _CHECKS for word in rest.split(" ")):
            raise ValueError(
                "there is something before the type of key: enroll sets the options itself"
            )
        raise ValueError(f"it does not begin with a type of key: {', '.join(_CHECKS)}")
    key, _, comment = rest.strip(" ").partition(" ")
    if not key:
        raise ValueError(f"nothing follows {key_type}")
    comment = comment.strip(" ")
    if not comment.isprintable():
        raise ValueError("its comment holds characters that cannot be shown")
    _check_key(key_type, key)
    return PublicKey(key_type, key, comment)


def _check_key(key_type: str, key: str) -> None:
    try:
        blob = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("the key is cut or damaged (not base64)") from error
    fields = _split_fields(blob)
    if base64.b64encode(blob).decode() != key or not fields:
        raise ValueError("the key is cut or damaged")
    if fields[0] != key_type.encode():
        raise ValueError(f"it says {key_type}, and the key in it is of another type")
    _CHECKS[key_type](fields[1:])


def _split_fields(blob: bytes) -> list[bytes]:
    """Return the fields of `blob`, each after its length in four bytes; none if they do not fit."""
    fields = []
    while blob:
        length = int.from_bytes(blob[:4], "big")
        if len(blob) < 4 + length:
            return []
        fields.append(blob[4 : 4 + length])
        blob = blob[4 + length :]
    return fields


def _check_ed25519(fields: list[bytes]) -> None:
    if [len(field) for field in fields] != [32]:
        raise ValueError("the key is cut or damaged")


def _check_rsa(fields: list[bytes]) -> None:
    if len(fields) != 2 or not all(field and field[0] < 0x80 for field in fields):
        raise ValueError("the key is cut or damaged")
    bits = int.from_bytes(fields[1], "big").bit_length()
    if not LEAST_RSA <= bits <= MOST_RSA:
        raise ValueError(f"it is an RSA key of {bits} bits; allowed: {LEAST_RSA} to {MOST_RSA}")


def _check_ecdsa(curve: str) -> Callable[[list[bytes]], None]:
    def check(fields: list[bytes]) -> None:
        is_whole = len(fields) == 2 and len(fields[1]) == _POINTS[curve] and fields[1][0] == 4
        if not is_whole or fields[0] != curve.encode():
            raise ValueError("the key is cut or damaged")

    return check


def _check_security_key(check: Callable[[list[bytes]], None]) -> Callable[[list[bytes]], None]:
    def check_with_application(fields: list[bytes]) -> None:
        if not fields or not fields[-1]:
            raise ValueError("the key is cut or damaged")
        check(fields[:-1])

    return check_with_application


_CHECKS: dict[str, Callable[[list[bytes]], None]] = {
    "ssh-ed25519": _check_ed25519,
    **{f"ecdsa-sha2-{curve}": _check_ecdsa(curve) for curve in _POINTS},
    "ssh-rsa": _check_rsa,
    "sk-ssh-ed25519@openssh.com": _check_security_key(_check_ed25519),
    "sk-ecdsa-sha2-nistp256@openssh.com": _check_security_key(_check_ecdsa("nistp256")),
}
