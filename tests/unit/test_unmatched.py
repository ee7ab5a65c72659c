"""What is said of a path that was not there."""

from asyncamanda.client.restore.listing import Listed, explain_unmatched
from asyncamanda.core.restore.request import ListRequest

REQUEST = ListRequest("home", b"anna/a b")


def test_the_whole_path_is_named_and_a_command_that_finds_it() -> None:
    """With what is near it."""
    error = explain_unmatched(REQUEST, Listed(near=(b"anna/a c",)), b"/home")
    assert error.message == "/home/anna/a b was not there at that date, by the backup of home"
    assert error.hint == (
        "near it there is: /home/anna/a c; "
        "in which backups it is: asyncamanda list --versions '/home/anna/a b'"
    )


def test_who_asked_for_all_versions_is_not_told_to() -> None:
    """There is none."""
    request = ListRequest("home", b"anna/x", is_every_version=True)
    error = explain_unmatched(request, Listed(), b"/home")
    assert error.message == "/home/anna/x is in no backup of home"
    assert "--versions" not in error.hint
