"""Making a server of an export: checked first, then written, and last of all clients may come in.

All but root's own files is written with the Amanda user's rights: what an export says of its places
gives nobody more than those. A mark is left when nothing that was there is in the way any more, and
goes at the end: as long as it is there, the same export goes on where it was ended.
"""

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from asyncamanda.config.server import SERVER_FILE
from asyncamanda.core.export.members import BEFORE_IMPORT, LEDGER, REGISTRY, SERVER_TOML
from asyncamanda.core.values.printable import printable
from asyncamanda.core.values.shellwords import quote_word
from asyncamanda.errors import LaterError, RefusedError
from asyncamanda.server.enrol import setup
from asyncamanda.server.enrol.registry import change, read_registry, registry_path
from asyncamanda.server.export.imported import ImportedServer, find_config, force_fulls
from asyncamanda.server.export.ledger_import import prepare_ledger, put_file, put_rows
from asyncamanda.server.export.places import (
    PlacedMember,
    check_places,
    check_room,
    find_conflicts,
    find_missing_volumes,
    find_units,
    in_the_way,
    place_members,
)
from asyncamanda.server.export.registry_lines import choose_lines, drop_clients, plan_lines
from asyncamanda.server.export.sources import SSH_FOLDER
from asyncamanda.server.export.staging import Undo, make_folder, set_aside, write_file
from asyncamanda.server.export.verified import VerifiedExport, reading
from asyncamanda.server.gate import ipc
from asyncamanda.server.ledger.database import BESIDE
from asyncamanda.server.ledger.schema import FORMAT as LEDGER_FORMAT
from asyncamanda.system.account import act_as, find_user
from asyncamanda.system.files import find_free, open_folder, write_whole
from asyncamanda.system.steps import make_step, plan_folder

MARK = SERVER_FILE.with_name("import.begun")
ROOTS = ("/etc/amanda", "/var/lib/amanda", "/var/log/amanda", "/srv")  # root makes folders below


class ServerImport:
    """One import. `host_keys` are those that are to be this machine's, by their files' names."""

    def __init__(
        self, export: VerifiedExport, host_keys: dict[str, bytes], now: datetime, *, force: bool
    ) -> None:
        """`force`: what is there already is set aside. Raises what find_config(),
        place_members() and check_places() raise.
        """
        self._export = export
        self._host_keys = host_keys
        self._force = force
        self._end = f"{BEFORE_IMPORT}{now:%Y%m%dT%H%M%SZ}"
        self._config = find_config(export)
        self._account: pwd.struct_passwd = find_user(self._config.user)
        self._placed = place_members(export)
        self._registry = registry_path(self._config.user)
        check_places(self._placed.values(), (self._registry.parent, Path(ipc.STATE)))
        self._undo, self._undo_own = Undo(), Undo()  # with the Amanda user's rights, and root's
        self._done = ImportedServer()

    def run(self) -> ImportedServer:
        """Import; return what was done. To be called as root.

        Raises RefusedError where something is in the way, and nothing was changed then; LaterError
        if a dispatcher runs. If it ends early otherwise, what it has changed is undone.
        """
        if ipc.ask_dispatcher("view") is not None:
            raise LaterError(
                "server-runs", "a dispatcher runs here: this is a server already", "stop it first"
            )
        is_begun = self._is_begun()
        if is_begun and self._is_let_in():  # and clients may have been backed up since
            return self._finish()
        conflicts = [] if is_begun else self._find_conflicts()
        if conflicts and not self._force:
            raise in_the_way(conflicts)
        self._check_room()
        for step in setup.plan_setup(self._config, None, is_default=False):
            if not step.is_so():
                make_step(step)
        with self._undoing():
            self._set_aside(conflicts)
            os.close(open_folder(MARK.parent, make=True))
            write_whole(MARK, f"{self._export.digest}\n", 0o600)
            self._undo_own.note(MARK.unlink)
            self._write_files()
            self._write_own()
        self._done.told += force_fulls(self._export.head.configs, self._account)
        os.sync()  # before anybody can come in
        return self._finish()

    def _finish(self) -> ImportedServer:
        """Let clients in, which is the last of all."""
        self._let_in()
        MARK.unlink()
        self._done.missing = find_missing_volumes(self._export.head)
        self._done.has_host_keys = bool(self._host_keys)
        return self._done

    # -- what is there

    def _is_begun(self) -> bool:
        with suppress(OSError):
            return MARK.read_text("ascii", "replace").strip() == self._export.digest
        return False

    def _is_let_in(self) -> bool:
        with act_as(self._account):
            return bool(read_registry(self._registry))

    def _find_conflicts(self) -> list[Path]:
        with act_as(self._account):
            found = [self._registry] if read_registry(self._registry) else []
            place = self._ledger_place()
            if place and self._has_ledger() and os.path.lexists(place):
                found.append(place)
            try:
                found += find_conflicts(find_units(self._placed))
            except PermissionError as error:
                raise RefusedError(
                    "no-folder",
                    f"{printable(str(error.filename))} is not {self._account.pw_name}'s to look at",
                    "nothing was changed. A folder of Amanda's is to be its user's",
                ) from error
        text = self._export.texts.get(SERVER_TOML)
        with suppress(FileNotFoundError):
            if text is not None and SERVER_FILE.read_bytes() not in {
                text,
                setup.SERVER_TOML.encode(),
            }:
                found.append(SERVER_FILE)
        return found

    def _has_ledger(self) -> bool:
        """Return whether the export has a ledger that this version reads."""
        return self._export.head.ledger_format == LEDGER_FORMAT

    def _ledger_place(self) -> Path | None:
        return Path(self._config.ledger) if self._config.ledger.startswith("/") else None

    def _scratch(self) -> Path:
        """Return where the ledger is prepared."""
        place = self._ledger_place() or Path(ipc.STATE, "ledger.sqlite")
        return place.with_name(f".{place.name}.import")

    def _check_room(self) -> None:
        members = self._export.members
        sizes = {each.path: members[name].size for name, each in self._placed.items()}
        if self._has_ledger():
            sizes[self._scratch()] = members[LEDGER].size
        check_room(sizes)

    # -- changing it

    @contextmanager
    def _undoing(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self._undo_own.do()
            with act_as(self._account):
                self._undo.do()
            if isinstance(error, OSError):
                raise RefusedError(
                    "not-imported",
                    f"{error.filename or 'a file'} cannot be written: {error.strerror}",
                    "nothing is left of this import. Is there room, and may the Amanda user write?",
                ) from error
            raise

    def _set_aside(self, conflicts: list[Path]) -> None:
        """Rename what is in the way; authorized_keys is copied: other people's lines stay in it."""
        for path in conflicts:
            if path == self._registry:
                with act_as(self._account):
                    aside = self._copy_registry()
            elif not os.path.lexists(path):  # it went with the folder that it is in
                continue
            elif path == SERVER_FILE:
                aside = set_aside(path, self._end, self._undo_own)
            else:
                beside = BESIDE if path == self._ledger_place() else ()
                with act_as(self._account):
                    aside = set_aside(path, self._end, self._undo, beside)
            self._done.aside.append(aside)

    def _copy_registry(self) -> Path:
        path = self._registry
        aside, before = find_free(path.with_name(path.name + self._end)), path.read_bytes()
        text = before.decode("utf-8", "surrogateescape")
        write_whole(aside, text, 0o600)
        self._undo.note(aside.unlink)
        self._undo.note(lambda: change(path, lambda _: text))
        change(path, drop_clients)
        return aside

    def _write_files(self) -> None:
        for unit in find_units(self._placed):
            inside = [each for each in self._placed.values() if each.unit == unit]
            self._make_unit(unit, is_file=all(each.path == unit for each in inside))
        with reading(self._export.file) as members, act_as(self._account):
            for member in members:
                expected = self._export.members.get(member.name)
                if expected is None:
                    continue
                if member.name == LEDGER and self._has_ledger():
                    write_file(self._scratch(), member.pieces, expected, self._undo, 0o600)
                elif placed := self._placed.get(member.name):
                    self._make_parents(placed)
                    mode = 0o600 | (expected.mode & 0o755)
                    write_file(placed.path, member.pieces, expected, self._undo, mode)

    def _make_parents(self, placed: PlacedMember) -> None:
        if not placed.path.parent.is_dir():
            make_folder(placed.path.parent, self._undo)

    def _make_unit(self, unit: Path, *, is_file: bool) -> None:
        """Make the folder of a unit, where it is missing."""
        folder = unit.parent if is_file else unit
        if folder.is_dir():
            return
        try:
            with act_as(self._account):
                make_folder(folder, self._undo)
        except PermissionError as error:
            if not any(folder.is_relative_to(root) for root in ROOTS):
                user = self._account.pw_name
                raise RefusedError(
                    "no-folder",
                    f"{printable(str(folder))} is not there, and {user} may not make it",
                    f"as root: install -d -o {user} {quote_word(str(folder))}",
                ) from error
            make_step(plan_folder(folder, self._account, 0o750))

    def _write_own(self) -> None:
        """Put the ledger in its place, then the files of root."""
        if self._has_ledger():
            self._put_ledger()
        elif self._export.head.ledger_format is not None:
            self._done.told.append(
                "the export's ledger is an older asyncamanda's and was left out: the dispatcher "
                "makes a new one, and reads Amanda's logs into it"
            )
        if (text := self._export.texts.get(SERVER_TOML)) is not None:
            self._put_own(SERVER_FILE, text, 0o644)
        for name, key in self._host_keys.items():
            self._put_own(SSH_FOLDER / name, key, 0o644 if name.endswith(".pub") else 0o600)

    def _put_ledger(self) -> None:
        scratch, place = self._scratch(), self._ledger_place()
        with act_as(self._account):
            prepare_ledger(scratch)
            if place:
                put_file(scratch, place)
                self._undo.note(place.unlink)
            else:
                self._done.told.append(put_rows(scratch, self._config.ledger))
                scratch.unlink()

    def _put_own(self, path: Path, text: bytes, mode: int) -> None:
        """Write a file of root's; another one there, such as a new host key, is set aside."""
        os.close(open_folder(path.parent, make=True))
        with suppress(FileNotFoundError):
            if (there := path.read_bytes()) == text:
                return
            if there != setup.SERVER_TOML.encode():
                self._done.aside.append(set_aside(path, self._end, self._undo_own))
        write_whole(path, text.decode("utf-8", "surrogateescape"), mode)
        self._undo_own.note(path.unlink)

    def _let_in(self) -> None:
        text = self._export.texts.get(REGISTRY, b"").decode("utf-8", "surrogateescape")
        taken, self._done.left = choose_lines(text)
        with act_as(self._account):
            change(self._registry, lambda before: plan_lines(before, taken))
            self._done.clients = [entry.client for entry in read_registry(self._registry)]
