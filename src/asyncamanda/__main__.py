"""The entry point: end at once when nothing is due, otherwise run the command line."""

import os
import sys

from asyncamanda import quick


def main() -> int:
    """Return the exit code of what the command line asks for."""
    argv = sys.argv[1:]
    if argv[:1] in (["gate"], ["server"]):
        from asyncamanda.system.environ import shed_environ  # noqa: PLC0415 - at the server only

        shed_environ(argv)
    if argv[:2] == ["gate", "join"]:  # a machine with a code, seldom enough
        argv = ["server", "join", "--json", *argv[2:]]
    if argv[:1] == ["gate"]:
        from asyncamanda.server.gate import gate  # noqa: PLC0415 - hundreds of these wait: see there

        return gate.main(argv[1:])
    if argv[:2] == ["server", "serve"]:
        from asyncamanda.server.restore import serve  # noqa: PLC0415 - somebody waits: see there

        return serve.main(argv[2:])
    if quick.is_nothing_due(argv):
        return 0
    from asyncamanda import cli  # noqa: PLC0415 - a start that finds nothing due ends above

    return cli.main(argv)


def check() -> int:
    """Return the exit code of check_asyncamanda, a plugin for Nagios and the like.

    It checks all clients, or with `-H` one, where this machine is their server; else this machine
    itself. `--server` or `--client`, as the first argument, says which.
    """
    words = sys.argv[1:]
    is_server = any(word.startswith(("-H", "--hostname")) for word in words)
    is_server = is_server or os.path.isdir(f"{quick.SYSTEM_STATE}/server")  # noqa: PTH112 - as quick
    if words[:1] in (["--server"], ["--client"]):
        is_server = words.pop(0) == "--server"
    sys.argv[1:] = [*(["server", "check"] if is_server else ["check", "--nagios"]), *words]
    return main()


if __name__ == "__main__":
    sys.exit(main())
