"""Who connects to the dispatcher: a gate, a process that carries a stream, or a command."""

import asyncio
import contextlib
import socket

from asyncamanda.config.server import ServerConfig
from asyncamanda.core.protocol.authority import Identity, check_amanda_config_name
from asyncamanda.errors import AsyncamandaError, LaterError, error_value
from asyncamanda.server.background.tasks import write_trouble
from asyncamanda.server.dispatch.admission import Admission, find_connection
from asyncamanda.server.dispatch.client_messages import ClientMessages, limit_messages
from asyncamanda.server.dispatch.coordinators import Coordinators
from asyncamanda.server.enrol.registry import Registry
from asyncamanda.server.gate import ipc
from asyncamanda.server.gate.ipc_server import peer_of
from asyncamanda.server.gate.session import ClientSession
from asyncamanda.server.gate.stuck_dispatcher import ALIVE
from asyncamanda.server.relay.relay import Relay

OPENS_WITHIN = 5.0  # seconds: who asks for a flush waits for an answer no longer than twice that
KEPT_SECONDS = 2.0  # an answer to it: whoever was told to wait asks again within a moment


class Callers:
    """Serves each caller by its first message."""

    def __init__(  # noqa: PLR0913, PLR0917 - each kind of caller needs another part
        self,
        config: ServerConfig,
        coordinators: Coordinators,
        admission: Admission,
        messages: ClientMessages,
        registry: Registry,
        relay: Relay,
    ) -> None:
        self._config = config
        self._coordinators = coordinators
        self._admission = admission
        self._messages = messages
        self._registry = registry
        self._relay = relay
        self._flushing: dict[str, asyncio.Task[object]] = {}

    async def hear(
        self, caller: socket.socket, words: list[str], descriptors: list[int]
    ) -> object | None:
        """Do what a caller asks for; return the answer, None if its socket stays open."""
        match words:
            case ["talk", client, amanda_config, attempt] if len(descriptors) == 2:
                ends = descriptors[0], descriptors[1]
                identity = Identity(client, amanda_config)
                session = self._make_session(identity, caller, ends, attempt)
                self._admission.admit(session, peer_of(caller)[0])
                return None
            case [("attach" | "attached") as word, client, amanda_config, token]:
                self._carry(word, Identity(client, amanda_config), token, caller)
                return None
            case words:
                return await self._answer(words)

    def _make_session(
        self, identity: Identity, gate: socket.socket, descriptors: tuple[int, int], attempt: str
    ) -> ClientSession:
        return ClientSession(
            identity,
            gate=gate,
            descriptors=descriptors,
            is_resumed=attempt == "again",
            heartbeat=self._config.heartbeat,
            messages=limit_messages(self._config.limits),
            on_message=self._messages.hear,
            on_end=self._messages.end,
        )

    def _carry(self, word: str, identity: Identity, token: str, carrier: socket.socket) -> None:
        """Let a process carry a stream of its client's, or go on with one."""
        pid, _ = peer_of(carrier)
        place = identity.client, find_connection(pid)
        try:
            is_enrolled = self._registry.contains(identity)
        except LaterError as error:
            write_trouble(error)
            is_enrolled = word == "attached"  # it was, when its stream began
        if not is_enrolled:
            with carrier, contextlib.suppress(OSError):
                carrier.send(ipc.pack("stop"))
        elif word == "attached" or self._relay.attach(place, identity, token, carrier):
            self._relay.watch(place, token, carrier, pid)
        else:
            carrier.close()

    async def _answer(self, words: list[str]) -> object:
        """Return the answer to a command at the server."""
        match words:
            case ["drop", client]:
                return {"dropped": self._drop(client)}
            case ["view"]:
                return self._view()
            case ["flush", name]:
                return await self._flush(name)
            case [word] if word == ALIVE:
                return {"alive": True}
            case _:
                return {"error": "not understood"}

    def _view(self) -> dict[str, object]:
        faults = self._coordinators.faults
        return {
            "connected": sorted({session.client for session in self._admission.sessions}),
            "reachable": self._relay.reachable(),
            "configs": self._coordinators.view(),
            "faults": [{"amanda_config": name, "reason": why} for name, why in faults.items()],
        }

    def _drop(self, client: str) -> int:
        """End the sessions of a client that was revoked or enrolled again; return how many."""
        count = self._admission.drop(client)
        self._coordinators.withdraw(client, "revoked")
        return count

    async def _flush(self, name: str) -> object:
        """Ask for a flush; return whether anything is held, or why there can be none."""
        try:
            check_amanda_config_name(name)
        except ValueError as error:
            return {"error": str(error)}
        asking, loop = self._flushing.get(name), asyncio.get_running_loop()
        if asking is None:
            asking = self._flushing[name] = loop.create_task(self._begin_flush(name))
            asking.add_done_callback(
                lambda _: loop.call_later(KEPT_SECONDS, self._flushing.pop, name)
            )
        await asyncio.wait({asking}, timeout=OPENS_WITHIN)
        return asking.result() if asking.done() else {"flush": "opening"}

    async def _begin_flush(self, name: str) -> object:
        """Ask for a flush, however long Amanda takes to say what is held, and where."""
        coordinator = self._coordinators.get(name)
        try:
            await asyncio.shield(coordinator.opened)
            await coordinator.site.read_anew()
            return {"flush": "asked for" if await coordinator.flushes.ask() else "nothing is held"}
        except AsyncamandaError as error:
            return {"fault": error_value(error)}
