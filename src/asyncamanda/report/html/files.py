"""The page's files: their names, and the mark by which they are known again.

A file of asyncamanda's begins with a digest of what it says and with its own length, and ends with
the digest: so a file that another program made, and one that was cut off, are told from those.
"""

import re
import string
from hashlib import sha256

INDEX = "index.html"
CLIENTS = "client"  # the folder of the clients' pages
HEAD_BYTES, TAIL_BYTES = 160, 100
LONGEST = 180  # bytes of a file's name; a file system takes 255

_PLAIN = frozenset(string.ascii_letters + string.digits + "-_.+")
_HEAD = re.compile(rb"<!doctype html><!-- asyncamanda page ([0-9a-f]{64}) ([0-9]{12}) -->\n")
_PAGE = re.compile(r"[A-Za-z0-9=_+-][A-Za-z0-9=_.+-]*@[A-Za-z0-9=_.+-]+\.html")


def page_path(amanda_config: str, client: str) -> str:
    """Return the path of a client's page below the folder, which is also its address.

    It has nothing in it but letters, digits and `-_.+=@`; two clients never have the same.
    """
    return f"{CLIENTS}/{page_name(amanda_config, client)}"


def page_name(amanda_config: str, client: str) -> str:
    """Return the name of the file of a client's page."""
    name = f"{_plain(client)}@{_plain(amanda_config)}"
    if len(name) > LONGEST:
        told = f"{client}\0{amanda_config}".encode("utf-8", "surrogatepass")
        name = f"{_plain(client)[:60]}@={sha256(told).hexdigest()}"
    return f"{name}.html"


def is_page_name(name: str) -> bool:
    """Return whether a client's page may have that name."""
    return _PAGE.fullmatch(name) is not None


def _plain(name: str) -> str:
    """Return `name` with each byte that is not plain, and a dot at its beginning, as `=2f`."""
    if name and name[0] != "." and _PLAIN.issuperset(name):
        return name
    told = name.encode("utf-8", "surrogatepass")
    plain = "".join(chr(byte) if chr(byte) in _PLAIN else f"={byte:02x}" for byte in told)
    return f"=2e{plain[1:]}" if plain.startswith(".") else plain or "="


def seal(digest: str, html: str) -> bytes:
    """Return the file of a page, whose `html` goes on after the doctype."""
    body = html.encode("utf-8", "backslashreplace")
    tail = _tail(digest)
    head_length = len(_head(digest, 0))
    return _head(digest, head_length + len(body) + len(tail)) + body + tail


def _head(digest: str, length: int) -> bytes:
    return f"<!doctype html><!-- asyncamanda page {digest} {length:012} -->\n".encode()


def _tail(digest: str) -> bytes:
    return f"<!-- {digest} -->\n".encode()


def is_ours(head: bytes) -> bool:
    """Return whether a file that begins so may be replaced: a page, or an empty one."""
    return not head or _HEAD.match(head) is not None


def read_digest(head: bytes, tail: bytes, size: int) -> str:
    """Return the digest of a page, "" where it is another program's file, or not whole.

    `head` and `tail` are its first and last bytes, HEAD_BYTES and TAIL_BYTES or more, or all.
    """
    match = _HEAD.match(head)
    if not match or int(match[2]) != size:
        return ""
    digest = match[1].decode()
    return digest if tail.endswith(_tail(digest)) else ""
