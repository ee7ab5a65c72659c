"""Whatever a chain's heads say: a file is in an image that has it, or the reason is told."""

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.heads import make_folder

from asyncamanda.core.restore.head import FOLDER, STORED, Head
from asyncamanda.core.restore.image import BadImage
from asyncamanda.core.restore.search import Located, Search
from asyncamanda.core.restore.selection import select

NAMES = st.sampled_from([b"a", b"b", b"c"])
PATHS = st.lists(NAMES, max_size=3).map(b"/".join)
LISTS = st.dictionaries(NAMES, st.sampled_from([b"Y", b"N", b"N", b"D", b"D"]), max_size=3)
FOLDERS = st.dictionaries(PATHS, LISTS, max_size=8)
RENAMES = st.lists(st.tuples(PATHS, PATHS), max_size=5)


def build_head(
    folders: dict[bytes, dict[bytes, bytes]], renames: list[tuple[bytes, bytes]]
) -> Head:
    """Return a head that has these, consistent or not."""
    head = Head()
    records = b"".join(
        b"R%b\0T%b\0" % tuple(b"./" + path if path else b"." for path in each) for each in renames
    )
    for path, entries in {b"": {}, **folders}.items():
        dumpdir = b"".join(flag + name + b"\0" for name, flag in sorted(entries.items()))
        head.add(make_folder(path, dumpdir + records))
        records = b""
    return head


def build_tree(
    folders: dict[bytes, dict[bytes, bytes]], renames: list[tuple[bytes, bytes]]
) -> Head:
    """Return a head in which each folder is listed in the one above it."""
    lists = {path: dict(entries) for path, entries in folders.items()}
    for path in folders:
        parts = path.split(b"/") if path else []
        for number, part in enumerate(parts):
            lists.setdefault(b"/".join(parts[:number]), {})[part] = FOLDER
    return build_head(lists, renames)


TREES = st.lists(st.builds(build_tree, FOLDERS, RENAMES), min_size=1, max_size=4)
HEADS = st.lists(st.builds(build_head, FOLDERS, RENAMES), min_size=1, max_size=4)


@given(HEADS)
def test_what_is_found_is_in_its_image(heads: list[Head]) -> None:
    """And nothing that a client may have written leads to an error, or on without end."""
    search = Search(heads)
    for path, flag in heads[-1].walk():
        place = search.locate(path)
        if isinstance(place, Located):
            assert flag != FOLDER
            assert heads[place.image].flag(place.path) == STORED
        else:
            assert place.reason


@given(TREES, st.lists(PATHS, max_size=3))
def test_all_that_is_wanted_is_selected_or_named(heads: list[Head], wanted: list[bytes]) -> None:
    """Each file once: in one image, as missing, or as never having been there."""
    selection = select(heads, wanted)
    taken = [path for members in selection.members for path in members.values()]
    missing = [path for path, _ in selection.missing]
    expected = {path: heads[-1].flag(path) for path in wanted if heads[-1].flag(path)}
    for path in [*expected]:
        if expected[path] == FOLDER:
            expected |= dict(heads[-1].walk(path))
    files = [path for path, flag in expected.items() if flag != FOLDER]
    assert sorted(taken + missing) == sorted(files)
    assert sorted(selection.folders) == sorted(
        path for path, flag in expected.items() if flag == FOLDER
    )
    assert {*selection.unmatched} == {*wanted} - {*expected}


@given(
    st.binary(max_size=40).map(
        lambda text: text.translate(bytes(b"YNDRTX./\0a"[n % 10] for n in range(256)))
    )
)
def test_a_list_is_as_tar_writes_it_or_refused(dumpdir: bytes) -> None:
    """Byte for byte."""
    head = Head()
    try:
        head.add(make_folder(b"x", dumpdir))
    except BadImage:
        return
    entries = [*head.entries(b"x")]
    written = b"".join(flag + name + b"\0" for name, flag in entries)
    assert dumpdir.startswith(written)
    assert all(record[:1] in b"RTX" for record in dumpdir[len(written) :].split(b"\0"))
    assert not any(b"/" in name or name in {b"", b".", b".."} for name, _ in entries)
