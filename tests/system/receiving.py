"""A web server and a sendmail that keep what they are sent."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread


@dataclass
class Receiver:
    """A web server: `calls` are (method, path, headers, body); `status` None never answers."""

    calls: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    status: int | None = 200
    let_go: Event = field(default_factory=Event)
    port: int = 0

    def url(self, path: str, scheme: str = "http", login: str = "") -> str:
        """Return the address of `path` at it."""
        return f"{scheme}://{login}127.0.0.1:{self.port}{path}"

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        """Note a call, and answer as told."""
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        self.calls.append((handler.command, handler.path, dict(handler.headers), body))
        if self.status is None:
            self.let_go.wait(20)
            return
        handler.send_response(self.status)
        handler.end_headers()


@contextmanager
def open_receiver() -> Iterator[Receiver]:
    """Yield a web server on loopback."""
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            kept.take(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    kept.port = server.server_port
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield kept
    finally:
        kept.let_go.set()
        server.shutdown()
        server.server_close()


def set_sendmail(folder: Path, body: str) -> None:
    """Let `body` be what sendmail does."""
    program = folder / "sendmail"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
