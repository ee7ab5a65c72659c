"""A throwaway Amanda server and its clients, as separate hosts on this machine."""

from lab.amanda import AMANDA_CONFIG, AmandaServer, Client, StoredDump
from lab.errors import LabCommandError, LabError, LabUnavailableError
from lab.host import Host
from lab.lab import DOMAIN, PASSWORD, Lab, Root
from lab.router import ROUTER_ADDRESS

__all__ = [
    "AMANDA_CONFIG",
    "DOMAIN",
    "PASSWORD",
    "ROUTER_ADDRESS",
    "AmandaServer",
    "Client",
    "Host",
    "Lab",
    "LabCommandError",
    "LabError",
    "LabUnavailableError",
    "Root",
    "StoredDump",
]
