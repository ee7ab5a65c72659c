"""The quick way out: a note is used only while nothing that it rests on has changed."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from asyncamanda import quick

ARGV = ["run", "--config", "/etc/x"]


@dataclass
class Ground:
    """A state folder of its own, a file that a verdict rests on, and a way to leave a note."""

    folder: Path
    watched: Path

    def leave_note(
        self, argv: Sequence[str] = tuple(ARGV), made: float = -10, until: float = 60
    ) -> Path:
        """Leave a note for `argv`, from `made` to `until` seconds from now; return its path."""
        place = quick.place_note(list(argv))
        assert place
        now = time.time()
        seen = [quick.glimpse(str(self.watched)), quick.glimpse(str(self.folder / "missing"))]
        path = Path(place[0])
        path.parent.mkdir(parents=True, exist_ok=True)
        text = quick.render_note(place[1], now + made, now + until, seen)
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        return path


@pytest.fixture
def ground(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Ground:
    """Return a ground where output is no terminal and HOME is a folder of its own."""
    capfd.readouterr()  # even under pytest -s
    monkeypatch.setattr(quick, "SYSTEM_STATE", str(tmp_path / "system"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("ASYNCAMANDA_CONFIG", raising=False)
    watched = tmp_path / "amandates \udce9=x"
    watched.write_text("/ 0 1795413303\n")
    return Ground(tmp_path, watched)


def test_a_note_for_an_untouched_world_is_used(ground: Ground) -> None:
    """The files that were there are as they were, and those that were not are still missing."""
    ground.leave_note()
    assert quick.is_nothing_due(ARGV)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("user", [0, 4711])
@pytest.mark.parametrize(
    ("note_of", "folder_of", "is_used"),
    [
        (None, None, True),
        (0, None, True),
        (None, 65534, False),
        (65534, None, False),
        (65534, 65534, False),
    ],
)
def test_a_note_of_somebody_elses_is_not_used(
    ground: Ground,
    monkeypatch: pytest.MonkeyPatch,
    user: int,
    note_of: int | None,
    folder_of: int | None,
    is_used: bool,
) -> None:
    """Whoever could write it could keep this machine from every backup. None: this user's."""
    monkeypatch.setattr(os, "geteuid", lambda: user)
    note = ground.leave_note()
    os.chown(note, user if note_of is None else note_of, 0)
    os.chown(note.parent, user if folder_of is None else folder_of, 0)
    # root's starts go on as the Amanda user's, whose folder root has made
    is_given = user == 0 and folder_of is not None
    assert quick.is_nothing_due(ARGV) is (is_used or is_given)


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
def test_a_note_in_a_folder_that_others_may_write_is_not_used(ground: Ground, mode: int) -> None:
    """They could put an old one back."""
    note = ground.leave_note()
    note.parent.chmod(mode)
    assert not quick.is_nothing_due(ARGV)
    note.parent.chmod(0o700)
    assert quick.is_nothing_due(ARGV)


def test_below_var_tmp_there_is_no_quick_way(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody may make folders there, before us."""
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.delenv("XDG_STATE_HOME")
    assert quick.state_folder("client").startswith("/var/tmp/")  # noqa: S108 - see there
    assert quick.place_note(ARGV) is None
    assert not quick.is_nothing_due(ARGV)
    assert ground.folder.exists()


def test_without_a_note_there_is_no_quick_way(ground: Ground) -> None:
    """The full check goes on."""
    assert not quick.is_nothing_due(ARGV)
    assert not list(ground.folder.glob("system/**/*"))


@pytest.mark.parametrize("mask", [0x01, 0x20, 0x80, 0xFF])
def test_a_note_with_one_changed_byte_is_not_used(ground: Ground, mask: int) -> None:
    """Wherever the byte is, and be it a letter of the checksum in the other case."""
    path = ground.leave_note()
    note = path.read_bytes()
    for place, byte in enumerate(note):
        path.write_bytes(note[:place] + bytes([byte ^ mask]) + note[place + 1 :])
        assert not quick.is_nothing_due(ARGV), place


@pytest.mark.parametrize("form", [b"+%s", b" %s", b"0%s", b"0x%s", b"%s\n"])
def test_a_note_with_its_checksum_written_otherwise_is_not_used(
    ground: Ground, form: bytes
) -> None:
    """The number may be right; nothing of asyncamanda's wrote it so."""
    path = ground.leave_note()
    body, check = path.read_bytes()[:-8], path.read_bytes()[-8:]
    path.write_bytes(body + form % check)
    assert not quick.is_nothing_due(ARGV)


def test_a_note_that_was_cut_is_not_used(ground: Ground) -> None:
    """At any length."""
    path = ground.leave_note()
    note = path.read_bytes()
    for length in range(len(note)):
        path.write_bytes(note[:length])
        assert not quick.is_nothing_due(ARGV), length


@pytest.mark.parametrize("rubbish", [b"", b"\0", b"\0check ", b"x\0check 0", b"\xff" * 20_000])
def test_rubbish_is_no_note(ground: Ground, rubbish: bytes) -> None:
    """No file there makes a start fail."""
    ground.leave_note().write_bytes(rubbish)
    assert not quick.is_nothing_due(ARGV)


@pytest.mark.parametrize(("made", "until"), [(30, 60), (-60, -30), (-60, 0), (60, -60)])
def test_outside_its_time_a_note_is_not_used(ground: Ground, made: float, until: float) -> None:
    """The clock was set back behind its making, or its end has come."""
    ground.leave_note(made=made, until=until)
    assert not quick.is_nothing_due(ARGV)


@pytest.mark.parametrize(
    "argv",
    [("run",), ("run", "--config", "/etc/y"), (*ARGV, "--force"), ("check", *ARGV[1:]), ()],
)
def test_for_other_arguments_a_note_is_not_used(ground: Ground, argv: tuple[str, ...]) -> None:
    """Not even if it lies where theirs would."""
    note = ground.leave_note().read_bytes()
    place = quick.place_note(list(argv))
    if place:
        Path(place[0]).write_bytes(note)
    assert not quick.is_nothing_due(list(argv))


@pytest.mark.parametrize("name", ["HOME", "XDG_CONFIG_HOME", "ASYNCAMANDA_CONFIG"])
def test_in_another_environment_a_note_is_not_used(
    ground: Ground, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may name another configuration."""
    note = ground.leave_note().read_bytes()
    monkeypatch.setenv(name, str(ground.folder / "elsewhere"))
    place = quick.place_note(ARGV)
    assert place
    Path(place[0]).write_bytes(note)
    assert not quick.is_nothing_due(ARGV)


def test_in_another_folder_or_version_a_note_is_not_used(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paths may be relative, and a newer version may judge otherwise."""
    note = ground.leave_note().read_bytes()
    for change in ("folder", "version"):
        with monkeypatch.context() as patch:
            if change == "folder":
                patch.chdir(ground.folder)
            else:
                patch.setattr(quick, "__version__", "0.0.0")
            place = quick.place_note(ARGV)
            assert place
            Path(place[0]).write_bytes(note)
            assert not quick.is_nothing_due(ARGV), change


def rewrite(path: Path) -> None:
    """Write other bytes of the same length, and put the modification time back."""
    status = path.stat()
    path.write_text(path.read_text().replace("3", "4"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def replace_by_copy(path: Path) -> None:
    """Put an equal file in its place."""
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    os.utime(copy, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    copy.replace(path)


@pytest.mark.parametrize(
    "touch",
    [
        rewrite,
        replace_by_copy,
        Path.touch,
        Path.unlink,
        lambda path: path.chmod(0o600),
        lambda path: path.write_text(path.read_text() + "\n"),
        lambda path: path.with_name("missing").touch(),
    ],
    ids=["rewritten", "replaced", "touched", "gone", "mode", "longer", "appeared"],
)
def test_when_a_file_has_changed_the_note_is_not_used(ground: Ground, touch: object) -> None:
    """Its content, its time, its place, its rights, or that it is there at all."""
    ground.leave_note()
    time.sleep(0.02)  # beyond the grain of the file system's clock
    assert callable(touch)
    touch(ground.watched)
    assert not quick.is_nothing_due(ARGV)


def test_on_a_terminal_somebody_waits_for_an_answer(ground: Ground) -> None:
    """So the full check gives it."""
    ground.leave_note()
    for terminal in (1, 2):
        master, slave = os.openpty()
        saved = os.dup(terminal)
        try:
            os.dup2(slave, terminal)
            assert not quick.is_nothing_due(ARGV)
        finally:
            os.dup2(saved, terminal)
            for descriptor in (master, slave, saved):
                os.close(descriptor)


def test_a_note_that_is_a_link_or_a_pipe_is_not_used(ground: Ground) -> None:
    """And a pipe that nobody writes to keeps no start waiting."""
    path = ground.leave_note()
    real = path.rename(path.with_name("real"))
    path.symlink_to(real)
    assert not quick.is_nothing_due(ARGV)
    path.unlink()
    os.mkfifo(path)
    assert not quick.is_nothing_due(ARGV)


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("-i", "24", "-h", "root:hunter2@server"),
        ("-i", "24", "--host=root:hunter2@server"),
        ("-i", "24", "-h", "root:p@ss:w@server"),
    ],
)
def test_arguments_that_may_hold_a_password_are_never_written_down(argv: tuple[str, ...]) -> None:
    """There is no place for their note."""
    assert quick.place_note(list(argv)) is None


def test_the_classic_form_and_the_commands_keep_apart(ground: Ground) -> None:
    """Each has its folder; a port is no password."""
    for argv, kind in (
        (["-h", "me@server:22"], "classic"),
        (["--host=server"], "classic"),
        (["+i", "24"], "classic"),
        (["run"], "client"),
    ):
        place = quick.place_note(argv)
        assert place
        assert Path(place[0]).parent.name == kind
        assert Path(place[0]).is_relative_to(ground.folder)


@pytest.mark.parametrize("option", ["--json", "-v", "--verbose"])
def test_who_wants_an_answer_every_time_has_no_quick_way(option: str) -> None:
    """Wherever the option stands."""
    assert quick.place_note(["run", option]) is None
    assert quick.place_note(["run", option, "--config", "/etc/x"]) is None


def test_a_deleted_folder_is_no_quick_way_and_no_crash(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start goes on to the full check."""
    gone = ground.folder / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert not quick.is_nothing_due(ARGV)
