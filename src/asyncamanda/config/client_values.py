"""How the values of client.toml are read that nothing else has."""

from asyncamanda.config.reader import Wrong
from asyncamanda.core.amanda import excludes
from asyncamanda.core.ssh import argv
from asyncamanda.core.ssh.argv import Target, parse_target


def read_target(value: object) -> Target:
    """Return a server. Raises Wrong."""
    if not isinstance(value, str):
        raise Wrong(value, argv.ALLOWED)
    try:
        return parse_target(value)
    except ValueError as error:
        raise Wrong(value, f"{argv.ALLOWED} ({error})") from error


def read_exclude(value: object) -> tuple[str, ...]:
    """Return patterns, each once. Raises Wrong."""
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise Wrong(value, excludes.ALLOWED)
    for text in value:
        try:
            excludes.check_pattern(text)
        except ValueError as error:
            raise Wrong(text, f"{excludes.ALLOWED} ({error})") from error
    return tuple(dict.fromkeys(value))
