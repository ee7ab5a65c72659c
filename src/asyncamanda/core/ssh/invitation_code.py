"""The code that lets a machine join: the server's host key, and the seed of a one-time key.

25 bytes in Crockford's base 32, in groups of five: 12 bytes of the host key's SHA-256, as many as
16 characters of its fingerprint, 10 random bytes, and 3 bytes by which a slip of the pen is found.
Small letters are large ones, and I, L and O are read as 1, 1 and 0.
"""

import base64
import hashlib
from dataclasses import dataclass, field

SEED_BYTES = 10
FINGERPRINT_START = "SHA256:"
_HOST_BYTES, _CHECK_BYTES = 12, 3
_SHOWN = 16  # characters of base 64 that _HOST_BYTES have
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_RFC = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"  # of RFC 4648, which Python has
_TO_RFC = str.maketrans(_ALPHABET + "ILO", _RFC + _RFC[1] + _RFC[1] + _RFC[0])
_FROM_RFC = str.maketrans(_RFC, _ALPHABET)
_LENGTH, _GROUP = 40, 5
_LONGEST = 200  # characters, blanks and dashes included
_PURPOSE = b"asyncamanda invitation, first form\0"


@dataclass(frozen=True, slots=True)
class InvitationCode:
    """What a code says: how the fingerprint of the server's host key begins, and the seed."""

    fingerprint: str
    seed: bytes = field(repr=False)


def render_code(fingerprint: str, seed: bytes) -> str:
    """Return the code for a host key's whole fingerprint, "SHA256:...", and SEED_BYTES."""
    digest = base64.b64decode(fingerprint.removeprefix(FINGERPRINT_START)[:_SHOWN])
    assert (len(digest), len(seed)) == (_HOST_BYTES, SEED_BYTES)
    said = digest + seed
    text = base64.b32encode(said + _check(said)).decode().translate(_FROM_RFC)
    return "-".join(text[start : start + _GROUP] for start in range(0, _LENGTH, _GROUP))


def parse_code(text: str) -> InvitationCode:
    """Return what a code says, however it was typed. Raises ValueError, without quoting it."""
    if len(text) > _LONGEST:
        raise ValueError(f"a code has {_LENGTH} letters and digits; this is much longer")
    plain = "".join(text.replace("-", "").split()).upper()
    if not set(plain) <= set(_ALPHABET + "ILO"):
        raise ValueError("a code has only digits and letters, of these no U, and dashes")
    if len(plain) != _LENGTH:
        raise ValueError(f"a code has {_LENGTH} letters and digits; this has {len(plain)}")
    whole = base64.b32decode(plain.translate(_TO_RFC))
    said, check = whole[:-_CHECK_BYTES], whole[-_CHECK_BYTES:]
    if check != _check(said):
        raise ValueError("the code is mistyped: its letters do not fit together")
    start = base64.b64encode(said[:_HOST_BYTES]).decode()
    return InvitationCode(f"{FINGERPRINT_START}{start}", said[_HOST_BYTES:])


def _check(said: bytes) -> bytes:
    return hashlib.sha256(_PURPOSE + said).digest()[:_CHECK_BYTES]
