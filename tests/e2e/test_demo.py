"""The story that ./demo tells is true to its end, and leaves nothing behind."""

import subprocess
from pathlib import Path

import pytest

from lab.patience import at_most


def read_mounts() -> set[str]:
    """Return the mounts of this machine."""
    return {*Path("/proc/self/mounts").read_text("utf-8").splitlines()}


@pytest.mark.usefixtures("lab_prefix")  # which ./demo takes as it is
def test_demo_tells_its_story_and_leaves_nothing_behind() -> None:
    """Enrolled, due, held, not due, cut, on a volume, refused, back; no more mounts than before."""
    mounts = read_mounts()
    state = Path("/var/lib/asyncamanda").exists()
    argv = [str(Path(__file__).parents[2] / "demo")]
    told = subprocess.run(argv, capture_output=True, text=True, timeout=at_most(240), check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    places = [
        (told.stdout + told.stderr).find(words)
        for words in (
            "100% packet loss",
            "unknown",
            "laptop is enrolled",
            "due: the server was never asked",
            "backed up in ",
            "3 held",
            "not due: ",
            "all well: ",
            "Now it is pulled",
            "Now it is back",
            "1 held",
            "flushed to a volume",
            "rm /srv/photos/file-3",
            "--in-place",
            "restored 1 file",
            "this key may not run",
        )
    ]
    assert -1 not in places
    assert places == sorted(places)
    assert read_mounts() <= mounts
    assert Path("/var/lib/asyncamanda").exists() == state
