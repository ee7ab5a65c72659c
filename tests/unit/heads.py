"""Heads of images as tar would write them, for tests: a folder's list in one string."""

from asyncamanda.core.restore.head import Head
from asyncamanda.core.restore.member import Kind, Member


def make_folder(path: bytes, dumpdir: bytes | None, changed_at: int = 0) -> Member:
    """Return a folder's member with this list; `changed_at` is in seconds since 1970."""
    return Member(
        start=0, data=512, stored=0, end=1024, kind=Kind.FOLDER, path=path, link=b"", mode=0o755,
        uid=0, gid=0, owner=b"", group=b"", mtime_ns=changed_at * 10**9, size=0, dumpdir=dumpdir,
    )  # fmt: skip


def make_head(
    folders: dict[str, str], renames: str = "", changed_at: dict[str, int] | None = None
) -> Head:
    """Return a head: each folder's records, apart from each other by blanks.

    `renames` are "old>new", apart by blanks; the topmost folder, the first one, gets them. A folder
    that is not in `changed_at` was changed in 1970.
    """
    head = Head()
    records = "".join(
        "R./{}\0T./{}\0".format(*each.split(">")).replace("./.\0", ".\0")
        for each in renames.split()
    )
    for folder, entries in folders.items():
        dumpdir = "".join(f"{entry}\0" for entry in entries.split()) + records
        records = ""
        at = (changed_at or {}).get(folder, 0)
        head.add(make_folder(folder.encode(), dumpdir.encode(), at))
    return head
