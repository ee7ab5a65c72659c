"""The file that an export becomes: there whole, or not at all, and nobody else's to read."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from asyncamanda.errors import AsyncamandaError, RefusedError
from asyncamanda.system.files import open_folder

PRIVATE = 0o600
_NO_SUCH_FLAG = {errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL}


@contextmanager
def new_file(path: Path) -> Iterator[int]:
    """Yield a descriptor to write to; at the end of the block `path` is what was written.

    Until then it has no name, as far as the file system can do that, so that nothing is left of it
    even after a kill. Raises RefusedError if it cannot be written; then `path` is as it was.
    """
    try:
        folder = open_folder(path.absolute().parent)
    except OSError as error:
        raise unwritable(path, error) from error
    fresh = f".{path.name}.new"
    try:
        _remove(folder, fresh)
        descriptor, has_name = _open(folder, fresh)
        try:
            yield descriptor
            os.fsync(descriptor)
            if not has_name:
                # with a folder's descriptor, so that the link's target is linked and not the link
                os.link(
                    f"/proc/self/fd/{descriptor}", fresh, dst_dir_fd=folder, follow_symlinks=True
                )
            os.replace(fresh, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            _remove(folder, fresh)
            raise
        finally:
            os.close(descriptor)
        os.fsync(folder)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        os.close(folder)


def _open(folder: int, fresh: str) -> tuple[int, bool]:
    """Return a new file in `folder`, and whether it has the name `fresh` already."""
    try:
        flags = os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC
        return os.open(".", flags, PRIVATE, dir_fd=folder), False
    except OSError as error:
        if error.errno not in _NO_SUCH_FLAG:
            raise
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(fresh, flags, PRIVATE, dir_fd=folder), True


def _remove(folder: int, name: str) -> None:
    with suppress(OSError):
        os.unlink(name, dir_fd=folder)


def unwritable(path: Path, error: OSError) -> AsyncamandaError:
    """Return the error for an export that cannot be written."""
    return RefusedError(
        "export-not-written",
        f"{path} cannot be written: {error.strerror}",
        "nothing is left of it. Is its folder there, with room, and may this user write there?",
    )
