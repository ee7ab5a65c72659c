"""What root writes in folders of others lands where it was meant, or is refused."""

import os
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest

from asyncamanda.errors import RefusedError
from asyncamanda.system.files import find_free, write_whole
from asyncamanda.system.steps import make_step, plan_file, plan_folder

OWNER = pwd.getpwnam("backup")


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A folder of the Amanda user's, where root does something."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    os.chown(folder, OWNER.pw_uid, OWNER.pw_gid)
    return folder


@pytest.fixture
def roots(tmp_path: Path) -> Path:
    """What nobody but root is to change."""
    folder = tmp_path / "roots"
    folder.mkdir()
    (folder / "file").write_text("root's own")
    (folder / "file").chmod(0o600)
    return folder


def plant(link: Path, target: Path) -> None:
    """Let the Amanda user put a link there."""
    link.symlink_to(target)
    os.lchown(link, OWNER.pw_uid, OWNER.pw_gid)


def untouched(roots: Path) -> bool:
    """Return whether root's folder is as it was."""
    file = roots / "file"
    is_same = file.read_text() == "root's own" and file.stat().st_mode & 0o777 == 0o600
    is_roots = file.stat().st_uid == 0 and roots.stat().st_uid == 0
    return is_same and is_roots and [path.name for path in roots.iterdir()] == ["file"]


def test_the_name_of_what_is_written_first_leads_nowhere(theirs: Path, roots: Path) -> None:
    """A file is written beside its place; a link that waits there is not written through."""
    plant(theirs / ".config.new", roots / "file")
    write_whole(theirs / "config", "new")
    assert (theirs / "config").read_text() == "new"
    assert untouched(roots)


WRITERS: dict[str, Callable[[Path], None]] = {
    "write_whole": lambda path: write_whole(path, "new"),
    "plan_file": lambda path: make_step(plan_file(path, OWNER, 0o600)),
    "plan_folder": lambda path: make_step(plan_folder(path, OWNER, 0o700)),
    "plan_folder, twice": lambda path: make_step(plan_folder(path / "below", OWNER, 0o700)),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_a_link_on_the_way_is_not_followed(theirs: Path, roots: Path, writer: str) -> None:
    """Though it is put there after somebody looked."""
    plant(theirs / "ssh", roots)
    with pytest.raises((OSError, RefusedError)):
        WRITERS[writer](theirs / "ssh" / "new")
    assert untouched(roots)


def test_a_file_with_a_second_name_is_not_given_away(theirs: Path, roots: Path) -> None:
    """Where the kernel lets people make such names."""
    os.link(roots / "file", theirs / "keys")
    with pytest.raises(RefusedError, match="another name"):
        make_step(plan_file(theirs / "keys", OWNER, 0o644))
    assert untouched(roots)


def test_root_s_own_links_are_followed(theirs: Path, tmp_path: Path) -> None:
    """An administrator may keep a folder elsewhere."""
    (tmp_path / "link").symlink_to(theirs)
    write_whole(tmp_path / "link" / "config", "new")
    make_step(plan_folder(tmp_path / "link" / "a" / "b", OWNER, 0o700))
    assert (theirs / "config").read_text() == "new"
    assert (theirs / "a" / "b").stat().st_uid == OWNER.pw_uid


def test_a_free_name_is_one_that_nothing_has(tmp_path: Path) -> None:
    """Neither a file, nor a folder, nor a link that leads nowhere."""
    place = tmp_path / "kept"
    assert find_free(place) == place
    place.write_text("first")
    assert find_free(place).name == "kept-2"
    find_free(place).mkdir()
    find_free(place).symlink_to("nowhere")
    assert find_free(place).name == "kept-4"
