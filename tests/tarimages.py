"""Images made by hand, header by header: as GNU tar would make them, and as it never would."""

from collections.abc import Sequence

from asyncamanda.core.restore.image import ImageParser, Member

BLOCK = 512
END = bytes(2 * BLOCK)
GNU, POSIX = b"ustar  \0", b"ustar\x0000"
ROOM = (4, 21)  # pieces of a sparse file in an `S` header, and in each block behind it


def octal(number: int, width: int) -> bytes:
    """Return a number's field."""
    return b"%0*o\0" % (width - 1, number)


def base_256(number: int, width: int) -> bytes:
    """Return a number's field as GNU tar writes what octal digits cannot hold."""
    return (number + (1 << (8 * width - 1 if number >= 0 else 8 * width))).to_bytes(width, "big")


def seal(block: bytes) -> bytes:
    """Return a header with the checksum that it should have."""
    blank = block[:148] + b" " * 8 + block[156:]
    return block[:148] + b"%06o\0 " % sum(blank) + block[156:]


def header(
    name: bytes = b"./f",
    kind: bytes = b"0",
    *,
    size: bytes | int = 0,
    mode: int = 0o644,
    uid: bytes | int = 0,
    gid: bytes | int = 0,
    mtime: bytes | int = 0,
    link: bytes = b"",
    form: bytes = GNU,
    owner: bytes = b"",
    group: bytes = b"",
    device: tuple[int, int] = (0, 0),
    rest: bytes = b"",
) -> bytes:
    """Return a header block; a number may be given as the bytes of its field."""

    def field(number: bytes | int, width: int) -> bytes:
        return number if isinstance(number, bytes) else octal(number, width)

    return seal(
        b"".join((
            name.ljust(100, b"\0"),
            octal(mode, 8),
            field(uid, 8),
            field(gid, 8),
            field(size, 12),
            field(mtime, 12),
            bytes(8),
            kind,
            link.ljust(100, b"\0"),
            form,
            owner.ljust(32, b"\0"),
            group.ljust(32, b"\0"),
            octal(device[0], 8),
            octal(device[1], 8),
            rest,
        )).ljust(BLOCK, b"\0")
    )  # fmt: skip


def padded(contents: bytes) -> bytes:
    """Return contents as they lie in an image."""
    return contents + bytes(-len(contents) % BLOCK)


def long_name(name: bytes, kind: bytes = b"L") -> bytes:
    """Return the old GNU extension for a long name, or a long link (`K`)."""
    contents = name + b"\0"
    return header(b"././@LongLink", kind, size=len(contents)) + padded(contents)


def record(key: bytes, value: bytes) -> bytes:
    """Return a record of a pax header."""
    length = len(key) + len(value) + 3
    while len(b"%d %b=%b\n" % (length, key, value)) != length:
        length += 1
    return b"%d %b=%b\n" % (length, key, value)


def pax(*records: tuple[bytes, bytes], kind: bytes = b"x") -> bytes:
    """Return a pax header."""
    return raw_pax(b"".join(record(key, value) for key, value in records), kind)


def raw_pax(text: bytes, kind: bytes = b"x") -> bytes:
    """Return a pax header of a text that may be anything."""
    return header(b"./PaxHeaders/f", kind, size=len(text), form=POSIX) + padded(text)


def old_sparse(
    pieces: Sequence[tuple[int, int]], size: int, contents: bytes, name: bytes = b"./f"
) -> bytes:
    """Return a sparse file of the old GNU form."""
    entries = [octal(offset, 12) + octal(length, 12) for offset, length in pieces]
    first, rest = entries[: ROOM[0]], entries[ROOM[0] :]
    head = header(
        name,
        b"S",
        size=len(contents),
        rest=b"".join((
            bytes(41),
            b"".join(first).ljust(96, b"\0"),
            bytes([bool(rest)]),
            octal(size, 12),
        )),
    )  # fmt: skip
    groups = [rest[at : at + ROOM[1]] for at in range(0, len(rest), ROOM[1])]
    blocks = [b"".join(group).ljust(504, b"\0") + b"\1" for group in groups[:-1]]
    blocks += [b"".join(group).ljust(505, b"\0") for group in groups[-1:]]
    return head + b"".join(block.ljust(BLOCK, b"\0") for block in blocks) + padded(contents)


def parse_image(image: bytes, piece: int = 1 << 16) -> list[Member]:
    """Return an image's members, read in pieces of that many bytes. Raises BadImage."""
    parser = ImageParser()
    found: list[Member] = []
    while not parser.is_ended and parser.offset < len(image):
        found += parser.feed(parser.offset, image[parser.offset : parser.offset + piece])
    parser.end()
    return found
