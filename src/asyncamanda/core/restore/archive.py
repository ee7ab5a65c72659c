"""Writing: the headers of one plain tar stream of what is wanted, for a client's tar.

All is made of parsed values; no byte of an image's headers is copied. The stream is POSIX pax, with
a pax header only where a field cannot hold what it should; folders have no lists, so nothing that
reads it deletes. GNU tar 1.34 and 1.35 and ImageParser read it alike (tests/system/test_image.py).
A tar that reads it wants the locale C: in others it would convert long names.
"""

from asyncamanda.core.restore.member import Kind, Member
from asyncamanda.core.restore.pax import render_record, render_time
from asyncamanda.core.restore.sparse import render_map
from asyncamanda.core.restore.tarfields import BLOCK, pad, parse_path, parse_target, render_header

END = bytes(2 * BLOCK)

_NANO = 1_000_000_000
_LONGEST_FIELD = 100  # bytes of a name or target in a header
_LONGEST_OWNER = 31
_LARGEST_ID = 0o7777777
_LARGEST_SIZE = 0o77777777777
_ELSEWHERE = b"@pax"  # stands in a field whose value is in the pax header
_TYPES = {
    Kind.FILE: b"0",
    Kind.HARD_LINK: b"1",
    Kind.SYMLINK: b"2",
    Kind.CHARACTER: b"3",
    Kind.BLOCK: b"4",
    Kind.FOLDER: b"5",
    Kind.FIFO: b"6",
}


def render_member(member: Member, path: bytes, link: bytes | None = None) -> bytes:
    """Return the header blocks of a member that is to lie at `path`, a sparse file's map included.

    The member's `stored` bytes follow, and pad(stored) NULs. `link` is what a hard link is a link
    to, as a path, or a symbolic link's target; the member's own if None. Raises ValueError if
    `path` or a target cannot be one.
    """
    records: list[bytes] = []
    name = _full_name(path, is_folder=member.kind is Kind.FOLDER)
    target = _target(member, link)
    leading = b""
    if member.pieces is not None:
        leading = render_map(member.pieces, member.size)
        records += [
            render_record(b"GNU.sparse.major", b"1"),
            render_record(b"GNU.sparse.minor", b"0"),
            render_record(b"GNU.sparse.name", name),
            render_record(b"GNU.sparse.realsize", b"%d" % member.size),
        ]
        name = _ELSEWHERE
    size = len(leading) + member.stored
    seconds, rest = divmod(member.mtime_ns, _NANO)
    header = render_header(
        name=_text(records, b"path", name, _LONGEST_FIELD, _ELSEWHERE),
        kind=_TYPES[member.kind],
        link=_text(records, b"linkpath", target, _LONGEST_FIELD, _ELSEWHERE),
        owner=(
            member.mode,
            _number(records, b"uid", member.uid, _LARGEST_ID),
            _number(records, b"gid", member.gid, _LARGEST_ID),
        ),
        names=(
            _text(records, b"uname", member.owner, _LONGEST_OWNER),
            _text(records, b"gname", member.group, _LONGEST_OWNER),
        ),
        size=_number(records, b"size", size, _LARGEST_SIZE),
        seconds=seconds if 0 <= seconds <= _LARGEST_SIZE else 0,
        device=member.device,
    )
    if rest or not 0 <= seconds <= _LARGEST_SIZE:
        records.append(render_record(b"mtime", render_time(member.mtime_ns)))
    records += [render_record(key, value) for key, value in member.attributes]
    return _render_pax(b"".join(records)) + header + leading


def _full_name(path: bytes, *, is_folder: bool = False) -> bytes:
    """Return a path as tar writes it. Raises ValueError if it is none."""
    if is_folder and not path:
        return b"./"
    name = b"./" + path + (b"/" if is_folder else b"")
    parse_path(name, is_folder=is_folder)
    return name


def _target(member: Member, link: bytes | None) -> bytes:
    target = member.link if link is None else link
    if member.kind is Kind.HARD_LINK:
        return _full_name(target)
    return parse_target(target) if member.kind is Kind.SYMLINK else b""


def _text(
    records: list[bytes], key: bytes, value: bytes, longest: int, other: bytes = b""
) -> bytes:
    """Return what stands in a header's field; what is too long for it goes into the records."""
    if len(value) <= longest:
        return value
    records.append(render_record(key, value))
    return other


def _number(records: list[bytes], key: bytes, value: int, largest: int) -> int:
    if value <= largest:
        return value
    records.append(render_record(key, b"%d" % value))
    return 0


def _render_pax(text: bytes) -> bytes:
    """Return a pax header of these records; nothing if there are none."""
    if not text:
        return b""
    return render_header(name=_ELSEWHERE, kind=b"x", size=len(text)) + text + bytes(pad(len(text)))
