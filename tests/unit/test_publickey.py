"""A public key's line is taken whole, or refused with what is wrong about it."""

import base64
import struct

import pytest

from asyncamanda.core.ssh.publickey import PublicKey, parse_public_key

# by ssh-keygen, which printed the fingerprints, too
ED25519 = "AAAAC3NzaC1lZDI1NTE5AAAAIKGvx2VdlHTVOPYIzD6z+u3ZYW2oYbu1kPDYYB/5Kr4z"
ECDSA = (
    "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHwnTwnHRf7PO5cz6nOXi3ak5lLouweEa4pP3XKT"
    "ueURuI4lGYQHy/ED7jOsVp6dQH/UCK7qhipKYmTsT79W01g="
)
RSA = (
    "AAAAB3NzaC1yc2EAAAADAQABAAABAQDLSbOhkmJgsEhG2PIs+WubcTCF0BrQ6MNCeXehlHNPYun7Q7F19nLUXJhToYfq"
    "LIB+U8hpyZzphIyD60q7RcM7cB6YYNdBxb6j9rj18SSsbyIhNPgxz/cwSfScwzo6CdB9S/2fKDfg/NoexVczq9rfOlVw"
    "9xAQy8MZ4Xy2Go7lhnd/SPJTtBYqDYpQTs3ocMnXeMrhR153dT/0LzURkVU6DVA3QX/Gio5gWAHSF343qPmN4QFLJjtZ"
    "BK3TqiMcoF8KDK/AhD9aGjlgZRIH+hzOH7pzNRg1r6cMp50eMuPFr+uOSuHJh6pJvlS3xc10TGgvslFB67x16K56wnKz"
    "h1md"
)
NEGATIVE = b"\xff" * 256
POINT = b"\4" + b"x" * 64


def pack(*fields: bytes) -> str:
    """Return the key that has these fields, in base64."""
    whole = b"".join(struct.pack(">I", len(field)) + field for field in fields)
    return base64.b64encode(whole).decode()


def rsa(bits: int) -> str:
    """Return an RSA key with a modulus of so many bits."""
    modulus = (1 << (bits - 1)) | 1
    return pack(b"ssh-rsa", b"\1\0\1", modulus.to_bytes(bits // 8 + 1, "big"))


@pytest.mark.parametrize(
    ("key_type", "key", "fingerprint"),
    [
        ("ssh-ed25519", ED25519, "SHA256:8A3Plfcl78lJHcN7BZT7ma55sM9UKY59ujS1Udbd+MI"),
        ("ecdsa-sha2-nistp256", ECDSA, "SHA256:BKeLy+MQrlcFws66fDiq71Kmupf+wuMtKySOojzZG8s"),
        ("ssh-rsa", RSA, "SHA256:1TuxBGel2yCkP+lzExwKv61XSk9tjys1ezuGoUwfxFc"),
    ],
)
def test_a_key_is_taken_apart(key_type: str, key: str, fingerprint: str) -> None:
    """Type, key and comment, with or without a line's end; the fingerprint is ssh-keygen's."""
    whole = PublicKey(key_type, key, "ana@laptop of Ana")
    assert parse_public_key(f"{key_type} {key} ana@laptop of Ana\r\n") == whole
    assert parse_public_key(f"  {key_type}\t{key}") == PublicKey(key_type, key)
    assert whole.fingerprint == fingerprint


@pytest.mark.parametrize(
    ("key_type", "fields"),
    [
        ("ecdsa-sha2-nistp384", (b"nistp384", b"\4" + b"x" * 96)),
        ("ecdsa-sha2-nistp521", (b"nistp521", b"\4" + b"x" * 132)),
        ("sk-ssh-ed25519@openssh.com", (b"x" * 32, b"ssh:")),
        ("sk-ecdsa-sha2-nistp256@openssh.com", (b"nistp256", POINT, b"ssh:")),
    ],
)
def test_each_type_of_today_is_taken(key_type: str, fields: tuple[bytes, ...]) -> None:
    """Larger curves, and keys that live in a token."""
    key = pack(key_type.encode(), *fields)
    assert parse_public_key(f"{key_type} {key}") == PublicKey(key_type, key)
    cut = pack(key_type.encode(), *fields[:-1])
    with pytest.raises(ValueError, match="cut or damaged"):
        parse_public_key(f"{key_type} {cut}")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "does not begin with a type of key"),
        ("laptop", "does not begin with a type of key"),
        (f"ssh-dss {pack(b'ssh-dss')}", "does not begin with a type of key: ssh-ed25519, ecdsa-"),
        (f'command="sh" ssh-ed25519 {ED25519}', "before the type of key"),
        (f"restrict ssh-ed25519 {ED25519}", "before the type of key"),
        (f"# ssh-ed25519 {ED25519}", "before the type of key"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r\n", "private key"),
        ("-----BEGIN RSA PRIVATE KEY-----", "private key"),
        ("PuTTY-User-Key-File-3: ssh-ed25519", "private key"),
        (f"ssh-ed25519 {ED25519}\nssh-ed25519 {ED25519}", "more than one line"),
        (f"ssh-ed25519 {ED25519} x\rssh-ed25519 {ED25519}", "more than one line"),
        (f"ssh-ed25519 {ED25519} {'x' * 17000}", "longer than"),
        (f"ssh-ed25519 {ED25519} x\x1b[2J", "cannot be shown"),
        (f"ssh-ed25519 {ED25519} x\udcff", "cannot be shown"),
        ("ssh-ed25519", "nothing follows ssh-ed25519"),
        (f"ssh-ed25519 {ED25519[:-1]}", "not base64"),
        (f"ssh-ed25519 {ED25519[:-4]}", "cut or damaged"),
        (f"ssh-ed25519 {ED25519}AAAA", "cut or damaged"),
        (f"ssh-ed25519 {ED25519[:20]}\f{ED25519[20:]}", "not base64"),
        (f"ecdsa-sha2-nistp256 {ECDSA[:-2]}h=", "cut or damaged"),  # the same, written otherwise
        ("ssh-ed25519 AAAA", "cut or damaged"),
        (f"ssh-ed25519 {RSA}", "another type"),
        (f"ssh-rsa {ED25519}", "another type"),
        (f"ssh-ed25519 {pack(b'ssh-ed25519', b'x' * 31)}", "cut or damaged"),
        (f"ssh-ed25519 {pack(b'ssh-ed25519', b'x' * 32, b'x')}", "cut or damaged"),
        (f"ssh-rsa {rsa(2047)}", "RSA key of 2047 bits; allowed: 2048 to 16384"),
        (f"ssh-rsa {rsa(1024)}", "RSA key of 1024 bits"),
        (f"ssh-rsa {rsa(16385)}", "RSA key of 16385 bits"),
        (f"ssh-rsa {pack(b'ssh-rsa', b'', b'x')}", "cut or damaged"),
        (f"ssh-rsa {pack(b'ssh-rsa', b'x')}", "cut or damaged"),
        (f"ssh-rsa {pack(b'ssh-rsa', b'x', NEGATIVE)}", "cut or damaged"),  # below zero
        (f"ecdsa-sha2-nistp384 {pack(b'ecdsa-sha2-nistp384', b'nistp256', POINT)}", "cut or"),
        (
            f"ecdsa-sha2-nistp256 {pack(b'ecdsa-sha2-nistp256', b'nistp384', POINT)}",
            "cut or damaged",
        ),
        (
            f"ecdsa-sha2-nistp256 {pack(b'ecdsa-sha2-nistp256', b'nistp256', b'2' + POINT[1:])}",
            "cut or damaged",
        ),
    ],
)
def test_what_is_no_public_key_is_refused(text: str, complaint: str) -> None:
    """With what is wrong about it, and without repeating it."""
    with pytest.raises(ValueError, match=complaint) as error:
        parse_public_key(text)
    assert "b3BlbnNzaC1r" not in str(error.value)
