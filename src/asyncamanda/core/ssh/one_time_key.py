"""The one-time key of an invitation: both sides make it of the seed in the code.

A private key on the curve P-256 as RFC 5915 has it, in PEM: OpenSSH 9.2 takes that form, and no
PKCS#8 with an Ed25519 key (seen). Its public half is not in it: ssh-keygen -y computes that.
"""

import base64
import hashlib

_PURPOSE = b"asyncamanda one-time key\0"
_LINE = 64
# a SEQUENCE of the version 1, 32 bytes, and the name of the curve (RFC 5915, RFC 5480)
_HEAD, _CURVE = bytes.fromhex("30310201010420"), bytes.fromhex("a00a06082a8648ce3d030107")


def render_private_key(seed: bytes) -> str:
    """Return the private key that belongs to a code's seed, as a file for ssh's -i."""
    number = bytearray(hashlib.sha256(_PURPOSE + seed).digest())
    number[0] &= 0x7F  # below the curve's order, which begins with 32 ones
    text = base64.b64encode(_HEAD + bytes(number) + _CURVE).decode()
    lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
    return "\n".join(["-----BEGIN EC PRIVATE KEY-----", *lines, "-----END EC PRIVATE KEY-----", ""])
