"""Volumes that Amanda is not to use again as long as a client is lost: by its own `no-reuse`.

Which of them were marked for whom is written down first, so that only these are given back, and
after a kill, too.

    STATE/kept-volumes/CONFIG/HOST        a label in each line
"""

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from asyncamanda.core.amanda.config import parse_config
from asyncamanda.core.amanda.curinfo import sanitise_name
from asyncamanda.core.amanda.tapelist import Volume, parse_tapelist
from asyncamanda.errors import NotStoredError
from asyncamanda.server.amanda.commands import Settings, plan_config
from asyncamanda.server.background.programs import PATIENCE
from asyncamanda.server.gate import ipc
from asyncamanda.system.files import write_whole
from asyncamanda.system.programs import run_program

KEPT_VOLUMES = Path(ipc.STATE, "kept-volumes")


class KeptVolumes:
    """The volumes that are kept for one client."""

    def __init__(self, settings: Settings, host: str, folder: Path = KEPT_VOLUMES) -> None:
        self._settings = settings
        self._host = host
        self._folder = folder / settings.name
        self._path = self._folder / sanitise_name(host)

    @property
    def labels(self) -> tuple[str, ...]:
        """The volumes that were marked for this client."""
        return _read(self._path)

    def judge(self, labels: Collection[str]) -> str:
        """Return why Amanda cannot do without these volumes, "" if it can."""
        volumes = read_volumes(self._settings)
        kept = {volume.label for volume in volumes if not volume.is_reused} | {*labels}
        usable = len({volume.label for volume in volumes} - kept)
        config = parse_config(run_program(plan_config(self._settings.name), PATIENCE).stdout)
        if config.value("AUTOLABEL"):  # then a slot that nobody has used is a volume, too
            usable = max(usable, config.count_slots() - len(kept))
        cycle = self._settings.volumes.count
        if usable >= cycle:
            return ""
        return f"Amanda would have {usable} others, and tapecycle is {cycle}"

    def keep(self, labels: Collection[str]) -> None:
        """Mark volumes, as far as they are not. Raises NotStoredError if that fails."""
        reused = {volume.label for volume in read_volumes(self._settings) if volume.is_reused}
        ours = {*self.labels, *(label for label in labels if label in reused | self._of_others())}
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(self._path, "".join(f"{label}\n" for label in sorted(ours)), 0o600)
        except OSError as error:
            raise self._failed(f"{self._path}: {error.strerror}") from error
        self._mark("no-reuse", sorted(ours & reused))

    def release(self) -> None:
        """Let Amanda use them again, but for those that are kept for others as well.

        Raises NotStoredError if that fails.
        """
        kept = {volume.label for volume in read_volumes(self._settings) if not volume.is_reused}
        self._mark("reuse", sorted({*self.labels} & kept - self._of_others()))
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise self._failed(f"{self._path}: {error.strerror}") from error

    def _mark(self, word: str, labels: Collection[str]) -> None:
        if labels:
            argv = ["amadmin", self._settings.name, word, *labels]
            answer = run_program(argv, PATIENCE, encoding="utf-8")
            if answer.status != 0:
                raise self._failed(f"Amanda says: {answer.first_line}")

    def _of_others(self) -> set[str]:
        with suppress(OSError):
            others = [path for path in self._folder.iterdir() if path != self._path]
            return {label for path in others for label in _read(path)}
        return set()

    def _failed(self, why: str) -> NotStoredError:
        return NotStoredError(
            "volumes-not-marked",
            f"the volumes that {self._host} needs could not be marked: {why}",
            "the same command tries again",
        )


def read_volumes(settings: Settings) -> tuple[Volume, ...]:
    """Return the volumes that a configuration knows. Raises NotStoredError if it cannot be read."""
    try:
        return parse_tapelist(settings.tapelist.read_text("utf-8", "surrogateescape"))
    except FileNotFoundError:  # Amanda makes it with the first volume
        return ()
    except OSError as error:
        raise NotStoredError(
            "no-tapelist",
            f"{settings.tapelist} cannot be read: {error.strerror}",
            "run it as root, or as the Amanda user",
        ) from error


def _read(path: Path) -> tuple[str, ...]:
    with suppress(OSError):
        return tuple(path.read_text("utf-8", "surrogateescape").split())
    return ()
