"""Kept heads of images that the real tar made, of lives with renames and all."""

from pathlib import Path

import pytest
from tests.keptheads import open_on, write_kept
from tests.system.histories import make_history

from asyncamanda.core.restore.keeping import find_base_place
from asyncamanda.core.restore.kept import KeptHead
from asyncamanda.core.restore.kept_facts import keep_file
from asyncamanda.core.restore.selection import select


@pytest.mark.parametrize("seed", range(12))
def test_tar_orders_folders_and_files_as_is_relied_upon(seed: int, tmp_path: Path) -> None:
    """Folders by their paths' bytes, then the files of each as listed: none is out of place."""
    kept: list[KeptHead] = []
    dumps = make_history(seed, tmp_path)
    for place, dump in enumerate(dumps):
        base = kept[find_base_place(place)] if place else None
        members = dump.members.values()
        head = open_on(b"".join(write_kept(members, base, place)), base)
        kept.append(head)
        assert head.index.unplaced == 0
        assert dict(head.lists()) == dict(dump.head.folders)
        assert head.renames == dump.head.renames
        assert head.end == dump.head.end
        for member in members:
            folder, _, name = member.path.rpartition(b"/")
            if member.dumpdir is None:
                assert head.members(folder)[name] == keep_file(member)
            else:
                assert head.changed_at(member.path) == dump.head.changed_at(member.path)
        heads = [each.head for each in dumps[: place + 1]]
        assert select(kept, [b""]) == select(heads, [b""])
