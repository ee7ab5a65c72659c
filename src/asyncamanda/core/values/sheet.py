"""The recovery sheet: on paper, all that a machine needs whose disk is gone."""

from dataclasses import dataclass

from asyncamanda.core.values.recovery import split_key

_TEXT = """\
RECOVERY SHEET of {client}, whose backups are on {server}

Whoever has these groups can read all of {client}'s backups, and without them
nobody can. Keep this sheet away from the machine, and not on the server.

{groups}

On a replacement machine, as root, with asyncamanda and age installed: the
line that `asyncamanda server lost {client}` prints on the server, or

    {setup}

It asks for the groups. Then:

    asyncamanda restore --all --to /
"""


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a sheet is of: the client and its server, its key, and the command of a replacement."""

    client: str
    server: str
    key: str
    setup: str


def render_sheet(sheet: Sheet) -> str:
    """Return the sheet's text, two groups a line. Raises ValueError if the key is not one."""
    groups = split_key(sheet.key)
    lines = [
        "    " + "    ".join(f"{one:<12}" for one in groups[at : at + 2]).rstrip()
        for at in range(0, len(groups), 2)
    ]
    return _TEXT.format(
        client=sheet.client, server=sheet.server, groups="\n".join(lines), setup=sheet.setup
    )
