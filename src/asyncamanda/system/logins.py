"""Who is logged in at this machine, by systemd-logind."""

from asyncamanda.system.bus import Unavailable, open_system_bus

NAME = "org.freedesktop.login1"
PATH = "/org/freedesktop/login1"
PEOPLES = {"user", "user-early", "user-light"}  # classes; not greeter, lock-screen, background ...


def find_logged_in() -> set[int] | None:
    """Return the uids of people with a session; None if logind does not say."""
    try:
        with open_system_bus() as bus:
            (sessions,) = bus.call(NAME, PATH, f"{NAME}.Manager", "ListSessions")
            if not isinstance(sessions, list):
                return None
            uids = set()
            for _, uid, _, _, path in sessions:  # a(susso): id, uid, name, seat, path
                session = bus.properties(NAME, str(path), f"{NAME}.Session")
                if session.get("Class") in PEOPLES and session.get("State") != "closing":
                    uids.add(int(uid))
            return uids
    except (Unavailable, ValueError):
        return None
