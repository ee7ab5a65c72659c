"""About how much a disk holds."""

import os
from pathlib import Path

from asyncamanda.client.setup.measuring import measure_disk

MEGABYTE = 1 << 20


def test_a_folder_has_what_is_below_it(tmp_path: Path) -> None:
    """Each file once, whatever it is called beside, and without what links lead to."""
    deep = tmp_path / "disk" / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(os.urandom(3 * MEGABYTE))
    (deep / "twin").hardlink_to(deep / "file")
    (tmp_path / "beside").write_bytes(os.urandom(5 * MEGABYTE))
    (deep / "link").symlink_to(tmp_path / "beside")
    (deep.parent / "gone").symlink_to("nowhere")
    assert 3 * MEGABYTE <= measure_disk(str(tmp_path / "disk")) < 4 * MEGABYTE


def test_a_file_systems_root_has_what_is_in_use_there() -> None:
    """That is told at once, however many files there are."""
    system = os.statvfs("/")
    used = (system.f_blocks - system.f_bfree) * system.f_frsize
    assert abs(measure_disk("/") - used) < max(used // 10, 100 * MEGABYTE)


def test_what_cannot_be_looked_at_is_nothing(tmp_path: Path) -> None:
    """A disk need not be a path at all."""
    assert measure_disk(str(tmp_path / "gone")) == 0
    assert measure_disk("name") == 0


def test_it_does_not_take_for_ever(tmp_path: Path) -> None:
    """What was found by then is counted: it is at least so much."""
    for number in range(50):
        (tmp_path / str(number)).write_bytes(b"x" * 4096)
    assert 0 < measure_disk(str(tmp_path), longest=0) < 50 * 4096
