"""What to ask logind for, so that a machine stays awake.

An account without a session at the seat, as a timer's, may do so only by a rule of polkit's for
these actions (systemd's org.freedesktop.login1.policy: `allow_any` is no).
"""

_SLEEP, _IDLE, _LID = "sleep", "idle", "handle-lid-switch"

INHIBIT_ACTIONS = (
    "org.freedesktop.login1.inhibit-block-sleep",
    "org.freedesktop.login1.inhibit-block-idle",
    "org.freedesktop.login1.inhibit-handle-lid-switch",
)


def format_what(*, with_lid: bool) -> str:
    """Return what logind's Inhibit() is to hold off, separated by colons."""
    return ":".join([_SLEEP, _IDLE, *([_LID] if with_lid else [])])
