"""PID 1 of one of the lab's hosts. Runs alone, as a script: standard library only.

    holder.py NAME DISK_BYTES PREFIX INTERPRETER [ROOT]   a host with files of its own
    holder.py NAME                                    a network only (the switch)

Says `ready` on stdout when the namespaces are furnished. Then it obeys its stdin: `kill`
ends every other process and forgets the network (answer: `killed`); end of file ends the
host. The kernel reaps its children (SIGCHLD is ignored).

What the host writes goes to one tmpfs, its disk, mounted on /mnt. /etc, /var and
/usr/local show the machine's own files below what the host has written (overlayfs);
/home, /opt, /root, /srv, /tmp and Amanda's directories begin empty; asyncamanda's are not
there; everything else is read-only. With ROOT that folder's files are shown instead of the
machine's own.
"""

import ctypes
import os
import shutil
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 0x1, 0x20, 0x1000, 0x4000, 0x40000
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWNET = 0x20000, 0x4000000, 0x8000000, 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)
SETUP_SECONDS = 20

DISK = Path("/mnt")
OVERLAID = ("/etc", "/var", "/usr/local")
EMPTY = ("/home", "/opt", "/root", "/srv", "/tmp")  # noqa: S108 (a mount point)
AMANDA = ("/etc/amanda", "/var/backups", "/var/lib/amanda", "/var/log/amanda")
FOREIGN = ("/etc/asyncamanda", "/var/lib/asyncamanda")  # the machine's own asyncamanda's
VOLATILE = {"/run": 0o755, "/dev/shm": 0o1777}  # noqa: S108 (a mount point)


def checked(result: int, doing: str) -> None:
    """Raise OSError with the C library's reason where a call failed."""
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{doing}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Leave the namespaces of these kinds for new ones (os.unshare is Python 3.12's)."""
    checked(LIBC.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Call mount(2)."""
    arguments = [os.fsencode(text) for text in (source, target, kind)]
    checked(LIBC.mount(*arguments, flags, os.fsencode(options)), f"mount {kind} on {target}")


def mount_disk(size: int) -> None:
    """Give the host its one disk, and the directories that lie on it."""
    mount("disk", str(DISK), "tmpfs", 0, f"size={size},mode=755")
    for place in OVERLAID:
        own = DISK / place.strip("/").replace("/", "-")
        upper, work = own / "upper", own / "work"
        upper.mkdir(parents=True)
        work.mkdir()
        shutil.copystat(place, upper)  # the merged directory looks like its upper one
        mount("overlay", place, "overlay", 0, f"lowerdir={place},upperdir={upper},workdir={work}")
    for place in FOREIGN:  # hidden by the overlay, which is all that this writes to
        shutil.rmtree(place, ignore_errors=True)
    for place in EMPTY + AMANDA:
        own, like = DISK / place.strip("/").replace("/", "-"), Path(place).stat()
        own.mkdir()
        os.chown(own, like.st_uid, like.st_gid)
        own.chmod(like.st_mode)
        mount(str(own), place, "", MS_BIND)


def mount_kernel() -> None:
    """Show this host's own processes and network, and nothing of the machine's /run."""
    for place, mode in VOLATILE.items():
        mount("tmpfs", place, "tmpfs", 0, f"mode={mode:o}")
    mount("proc", "/proc", "proc")
    mount("sysfs", "/sys", "sysfs")


def bind_read_only(descriptor: int, place: str) -> None:
    """Show the directory that was opened before all else was covered up."""
    Path(place).mkdir(parents=True, exist_ok=True)
    mount(f"/proc/self/fd/{descriptor}", place, "", MS_BIND)
    mount("", place, "", MS_BIND | MS_REMOUNT | MS_RDONLY)


def enter(root: str) -> None:
    """Let another root be this host's; all that is imported here was imported before."""
    mount(root, root, "", MS_BIND)
    mount("/dev", f"{root}/dev", "", MS_BIND | MS_REC)
    os.chroot(root)
    os.chdir("/")


def furnish(size: int, prefix: str, interpreter: str, root: str) -> None:
    """Mount everything; `prefix`, `interpreter` and `root` may be empty."""
    mount("", "/", "", MS_REC | MS_PRIVATE)
    shown = {"/opt/asyncamanda": prefix, interpreter: interpreter}
    opened = {
        place: os.open(source, os.O_PATH | os.O_DIRECTORY)
        for place, source in shown.items()
        if source
    }
    if root:
        enter(root)
    mount_disk(size)
    mount_kernel()
    Path("/root").chmod(0o711)  # an interpreter may be there, which is for everybody
    for place, descriptor in opened.items():
        bind_read_only(descriptor, place)
        os.close(descriptor)
    if prefix:
        command = Path("/usr/local/bin/asyncamanda")
        command.parent.mkdir(parents=True, exist_ok=True)
        command.unlink(missing_ok=True)
        command.symlink_to("/opt/asyncamanda/bin/asyncamanda")
    mount("", "/", "", MS_BIND | MS_REMOUNT | MS_RDONLY)


def has_other_processes() -> bool:
    """Whether a process other than this one lives; the dead whom nobody mourns do not count."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and entry.name != "1":
            with suppress(OSError):
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                if state != "Z":
                    return True
    return False


def kill_all() -> None:
    """Kill all others, and start over with a network that has never heard of their sockets."""
    signal.alarm(SETUP_SECONDS)
    with suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    while has_other_processes():
        os.sched_yield()
    unshare(CLONE_NEWNET)
    signal.alarm(0)


def main(
    name: str, size: str = "", prefix: str = "", interpreter: str = "", root: str = ""
) -> None:
    """Furnish the namespaces, then obey stdin to its end."""
    signal.alarm(SETUP_SECONDS)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET)
    socket.sethostname(name)
    os.umask(0o022)
    if size:
        furnish(int(size), prefix, interpreter, root)
    os.chdir("/")
    signal.alarm(0)
    print("ready", flush=True)  # noqa: T201 (this is how it answers)
    for line in sys.stdin:
        if line.strip() == "kill":
            kill_all()
            print("killed", flush=True)  # noqa: T201 (this is how it answers)


if __name__ == "__main__":
    main(*sys.argv[1:])
