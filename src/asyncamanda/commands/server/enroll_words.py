"""What `server enroll` prints at its end."""

from asyncamanda.commands.server.options import warn
from asyncamanda.core.values.printable import printable
from asyncamanda.report.json import render_json
from asyncamanda.report.page import print_folded
from asyncamanda.report.text import name_disks
from asyncamanda.server.enrol.capacity import check_capacity
from asyncamanda.server.enrol.enrolled import Enrolled


def say_room(entry: Enrolled, *, is_json: bool) -> None:
    """Say what the server has room for, and what in its configuration is in the way."""
    check = check_capacity(entry)
    if not is_json:
        print_folded(f"  room: {check.found}")
    for trouble in check.troubles:
        warn(f"{trouble.said}: {trouble.why}; {trouble.fix}")


def say_enrolled(  # noqa: PLR0913 (all that is to be said)
    entry: Enrolled,
    outcome: str,
    disks: list[str],
    changed: list[str],
    *,
    is_settled: bool,
    is_json: bool,
) -> None:
    """Print how a client is enrolled now, with its `disks`, and what was `changed` for it."""
    if is_json:
        value = {
            "outcome": outcome,
            "client": entry.client,
            "amanda_config": entry.amanda_config,
            "key_type": entry.key.key_type,
            "fingerprint": entry.key.fingerprint,
            "direct": entry.is_direct,
            "restore": entry.restore,
            "settled": is_settled,
            "disks": disks,
            "changed": changed,
        }
        print(render_json(value))
        return
    for what in changed:
        print_folded(f"changed: {printable(what)}")
    words = {
        "enrolled": "is enrolled",
        "replaced": "has another key now, by which it is enrolled",
        "changed": "is enrolled otherwise now, by the same key",
        "unchanged": "is enrolled already",
    }
    print_folded(f"{entry.client} {words[outcome]}, for {entry.amanda_config}")
    print(f"  key: {entry.key.key_type} {entry.key.fingerprint}")
    way = "directly" if entry.is_direct else "through the client's own connection"
    print(f"  Amanda connects {way}")
    print(f"  it may {'' if entry.may_restore else 'not '}restore files of its own backups")
    if disks:
        print_folded(f"  disks: {name_disks(disks)}")
    if is_settled:
        print_folded(
            f"  the next machine that connects with its key is {entry.client}: start that one first"
        )
        print("  its earlier dumps no longer count: each disk starts with a full dump")
    elif changed and outcome == "unchanged":
        print("  it learns of new disks within a day; `asyncamanda doctor` there asks at once")
