"""What is asked of logind to keep a machine awake.

An account without a session at the seat, as a timer's, may do so only by a rule of polkit's for
these actions (systemd's org.freedesktop.login1.policy: `allow_any` is no).
"""

_SLEEP, _LID = "sleep", "handle-lid-switch"

# Since systemd 257 a "block" lock holds even root, and UPower at a critical battery; what it was
# before is "block-weak" there, which 252 does not know (systemd-inhibit(1); InvalidArgs).
MODES = ("block-weak", "block")

INHIBIT_ACTIONS = (
    "org.freedesktop.login1.inhibit-block-sleep",
    "org.freedesktop.login1.inhibit-handle-lid-switch",
)


def format_what(*, with_lid: bool) -> str:
    """Return what logind's Inhibit() is to hold off, separated by colons.

    Not "idle": that would keep the screen from going dark, and from being locked.
    """
    return ":".join([_SLEEP, *([_LID] if with_lid else [])])
