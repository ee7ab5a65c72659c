"""A router that hides the clients' network from the server's, as one at home does (NAT)."""

from lab.namespaces import Holder
from lab.network import GATEWAY, Plug, run_in

OUTER, INNER = "10.77.0", "10.78.0"
_OUTER_NUMBER = 253
ROUTER_ADDRESS = f"{OUTER}.{_OUTER_NUMBER}"  # from which all of the clients seem to come

_RULES = """\
table ip nat {
    chain postrouting {
        type nat hook postrouting priority srcnat
        oifname "outer" masquerade
    }
    chain forward {
        type filter hook forward priority filter; policy drop
        iifname "inner" accept
        ct state established,related accept
    }
    # a connection that is no longer known is not refused but swallowed
    chain input {
        type filter hook input priority filter; policy accept
        iifname "outer" drop
    }
}
"""


class Router:
    """A network namespace with a leg in two networks."""

    def __init__(self) -> None:
        """Start it; `wait_ready` must follow."""
        self._holder = Holder("router")

    def wait_ready(self) -> None:
        """Return when it forwards; only its legs are missing."""
        self._holder.wait_ready()
        pid = self._holder.pid
        run_in(pid, ["nft", "-f", "-"], _RULES)
        run_in(pid, ["tee", "/proc/sys/net/ipv4/ip_forward"], "1")

    @property
    def outer_leg(self) -> dict[int, Plug]:
        """What the server's switch is to attach."""
        return {_OUTER_NUMBER: Plug(self._holder.pid, "outer")}

    @property
    def inner_leg(self) -> dict[int, Plug]:
        """What the clients' switch is to attach: they have their route out by it."""
        return {GATEWAY: Plug(self._holder.pid, "inner")}

    def close(self) -> None:
        """End it; what it knew of connections is forgotten."""
        self._holder.close()
