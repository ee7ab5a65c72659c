"""The fields of a tar header: numbers, texts, names, checksum. Both ways, as GNU tar has them.

Octal digits, or base 256 where they do not do (from_header() and to_chars() in GNU tar's list.c and
create.c). All parsers here raise ValueError, with one plain line, and nothing else.
"""

import zlib
from functools import lru_cache

BLOCK = 512
LONGEST_NAME = 1 << 16  # bytes of a path or of a link's target; Linux has 4096
LONGEST_OWNER = 1024  # bytes of a user's or group's name
LARGEST = (1 << 63) - 1  # bytes of a file or of an image, and seconds since 1970
LARGEST_ID = (1 << 32) - 1  # of a user or a group
LARGEST_DEVICE = 0o7777777  # major or minor number; Linux has 2**20
GNU, POSIX = b"ustar  \0", b"ustar\x0000"  # what tells the two forms of header apart

_CHECKSUM = slice(148, 156)
_END_OF_FIELDS = 345  # a prefix of the name could follow
_SPACES = 8 * ord(" ")  # the checksum's own field counts as these
_HALF = 256  # bytes whose sum Adler-32 has exactly: 256 * 255 is less than its modulus, 65521


def sum_header(block: bytes) -> int:
    """Return the checksum that a header of these 512 bytes must have.

    Its bytes' sum, by Adler-32's lower half: ten times as fast as sum() is.
    """
    return (
        (zlib.adler32(block[:_HALF], 0) & 0xFFFF)
        + (zlib.adler32(block[_HALF:], 0) & 0xFFFF)
        - (zlib.adler32(block[_CHECKSUM], 0) & 0xFFFF)
        + _SPACES
    )


def has_right_checksum(block: bytes) -> bool:
    """Return whether a header's checksum is that of its bytes."""
    wanted = sum_header(block)
    if block[148:155] == b"%06o\0" % wanted:  # as GNU tar writes it
        return True
    try:
        return parse_number(block[_CHECKSUM]) == wanted
    except ValueError:
        return False


def parse_number(field: bytes, lowest: int = 0, largest: int = LARGEST) -> int:
    """Return a field's number; an empty field is 0. Raises ValueError if it is out of bounds."""
    digits = field[:-1]
    if not digits.isdigit() or field[-1] not in b"\0 ":
        if field[0] >= 0x80:
            return _parse_base_256(field, lowest, largest)
        digits = field.rstrip(b" \0").lstrip(b" ") or b"0"
    try:
        number = int(digits, 8) if digits.isdigit() else -1
    except ValueError:
        number = -1
    if not 0 <= number <= largest:
        raise ValueError("a number is not octal, or out of range")
    return number


def _parse_base_256(field: bytes, lowest: int, largest: int) -> int:
    """Two's complement, the greatest byte first; its first bit only says what it is."""
    number = int.from_bytes(field, "big", signed=True)
    if field[0] == 0x80:
        number = int.from_bytes(field[1:], "big")
    if not lowest <= number <= largest:
        raise ValueError("a number is out of range")
    return number


@lru_cache(maxsize=1024)  # nearly all members of an image have one of a few
def parse_owner(field: bytes) -> tuple[int, int, int]:
    """Return mode, user and group of a header's bytes 100 to 124."""
    return (
        parse_number(field[:8]) & 0o7777,
        parse_number(field[8:16], largest=LARGEST_ID),
        parse_number(field[16:24], largest=LARGEST_ID),
    )


@lru_cache(maxsize=1024)
def parse_owner_names(field: bytes) -> tuple[bytes, bytes]:
    """Return the names of user and group of a header's bytes 265 to 329."""
    return parse_text(field[:32]), parse_text(field[32:])


def parse_text(field: bytes) -> bytes:
    """Return a field up to its NUL, or all of it."""
    return field.partition(b"\0")[0]


def parse_path(name: bytes, *, is_folder: bool = False) -> bytes:
    """Return a member's name as a path below the disk's folder, b"" for that itself.

    Raises ValueError for one that is absolute, has a part `.`, `..` or none, or NUL.
    """
    if is_folder and name in {b"./", b"."}:
        return b""
    path = name[2:] if name[:2] == b"./" else name
    if is_folder:
        path = path.removesuffix(b"/")
    parts = b"/%b/" % path
    if b"//" in parts or (b"/." in parts and (b"/./" in parts or b"/../" in parts)):
        raise ValueError("a name does not lie in the image's folder")
    if b"\0" in path or len(path) > LONGEST_NAME:
        raise ValueError("a name is too long or has a NUL")
    return path


def parse_target(target: bytes) -> bytes:
    """Return a symbolic link's target as it is. Raises ValueError if no link can have it."""
    if not target or b"\0" in target or len(target) > LONGEST_NAME:
        raise ValueError("a symbolic link's target is empty, too long, or has a NUL")
    return target


def render_header(  # noqa: PLR0913 - a header's fields
    *,
    name: bytes,
    kind: bytes,
    link: bytes = b"",
    owner: tuple[int, int, int] = (0o644, 0, 0),
    names: tuple[bytes, bytes] = (b"", b""),
    size: int = 0,
    seconds: int = 0,
    device: tuple[int, int] = (0, 0),
) -> bytes:
    """Return a POSIX header block. Raises ValueError if anything does not fit into its field."""
    fields = b"".join((
        name.ljust(100, b"\0"),
        *(b"%07o\0" % number for number in owner),
        b"%011o\0%011o\0" % (size, seconds),
        b" " * 8,
        kind,
        link.ljust(100, b"\0"),
        POSIX,
        *(each.ljust(32, b"\0") for each in names),
        b"%07o\0%07o\0" % device,
    ))  # fmt: skip
    if len(fields) != _END_OF_FIELDS:
        raise ValueError("a header's field is too long")
    block = fields.ljust(BLOCK, b"\0")
    return block[:148] + b"%06o\0 " % sum_header(block) + block[156:]


def pad(size: int) -> int:
    """Return how many bytes of padding stand behind `size` bytes of contents."""
    return -size % BLOCK
