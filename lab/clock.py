"""A wall clock that is wrong, for some programs only: Debian's libfaketime, preloaded."""

from datetime import timedelta
from pathlib import Path

from lab.errors import LabUnavailableError
from lab.files import HostFiles

_INSTALLED = "*/faketime/libfaketime.so.1"
_LIBRARY = "/usr/local/lib/lab-faketime.so.1"
_OFFSET = "/etc/faketimerc"
# what waits by the monotonic clock, which is not shifted, and comes back at once by the library's:
# Python's time.sleep (Debian 12), its threads that take turns, its locks with a bound (13)
_BROKEN = (b"clock_nanosleep", b"pthread_cond_timedwait", b"sem_clockwait")


class ShiftedClock:
    """A host's shifted clock. It may be set while programs that see it run."""

    def __init__(self, files: HostFiles) -> None:
        """Nothing is written before the clock is first set."""
        self._files = files
        self.offset: timedelta | None = None

    def set(self, offset: timedelta) -> None:
        """Set how far the clock is ahead; what already runs under it sees that at once."""
        if self.offset is None:
            self._install()
        self._files.write(_OFFSET, f"{offset.total_seconds():+f}\n")
        self.offset = offset

    def environ(self, program: str) -> dict[str, str]:
        """Return the environment that shifts the wall clock of `program` and of Pythons.

        What these start inherits it, but keeps the true time unless it is a Python too:
        so Amanda and ssh never see the shift.
        """
        pythons = ("python", "python3", *(f"python3.{minor}" for minor in range(11, 20)))
        names = {"asyncamanda", *pythons, Path(program).name}
        return {
            "LD_PRELOAD": _LIBRARY,
            "FAKETIME_TIMESTAMP_FILE": _OFFSET,
            "FAKETIME_ONLY_CMDS": ",".join(sorted(names)),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def wrapper(self) -> str:
        """Return a script that stands for the Python of an installed asyncamanda.

        Its programs see the shifted clock then, though they are started in a clean environment.
        """
        words = " ".join(f"{key}={value}" for key, value in self.environ("python3").items())
        return f'#!/bin/bash\nexport {words}\nexec -a "$0" /usr/bin/python3 "$@"\n'

    def _install(self) -> None:
        installed = next(Path("/usr/lib").glob(_INSTALLED), None)
        if installed is None:
            raise LabUnavailableError(
                "lab-programs", "missing: libfaketime", "apt-get install libfaketime"
            )
        # under another name it is not found, and the C library's own serves
        code = Path(installed).read_bytes()
        for name in _BROKEN:
            code = code.replace(b"\0%b\0" % name, b"\0%b\0" % name.capitalize(), 1)
        self._files.make_directory(str(Path(_LIBRARY).parent))
        place = self._files.path(_LIBRARY)
        place.write_bytes(code)
        place.chmod(0o755)
