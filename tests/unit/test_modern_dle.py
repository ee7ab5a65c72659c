"""DLEs that GNUTAR dumps are given to amgtar, in the disklist's own text."""

import pytest

from asyncamanda.core.amanda.disklist import Dle, narrow_disklist
from asyncamanda.core.amanda.modern_dle import modernise

PROGRAM = """\
    program "APPLICATION"
    application {
        plugin "amgtar"
        property "CHECK-DEVICE" "NO"
        property "XATTRS" "YES"
        property "ACLS" "YES"
    }
"""
DLE = Dle("laptop", "/home")


@pytest.mark.parametrize(
    ("before", "dle", "after"),
    [
        ("laptop /home roaming\n", DLE, f"laptop /home {{\n    roaming\n{PROGRAM}}}\n"),
        ("Laptop /home roaming", DLE, f"Laptop /home {{\n    roaming\n{PROGRAM}}}"),
        (
            'laptop "/d 3" mine 1 local # why\n',
            Dle("laptop", "/d 3"),
            f'# why\nlaptop "/d 3" {{\n    mine\n{PROGRAM}}} 1 local\n',
        ),
        (
            "laptop big /home roaming\n",
            Dle("laptop", "big", "/home"),
            f"laptop big /home {{\n    roaming\n{PROGRAM}}}\n",
        ),
        (
            'laptop /home { # its own\n    roaming\n  program "GNUTAR"\n} 2\n',
            DLE,
            f"laptop /home {{ # its own\n    roaming\n{PROGRAM}}} 2\n",
        ),
    ],
)
def test_its_entry_becomes_a_block(before: str, dle: Dle, after: str) -> None:
    """With its dumptype, device, spindle, interface and comment as they were; the rest stays."""
    around = "# laptop /home roaming\ntower /home roaming\nlaptop /home2 {\n    roaming\n}\n"
    text, found = modernise(around + before, [dle])
    assert (text, found) == (around + after, [dle])


def test_one_that_is_not_there_is_not_found() -> None:
    """It may be in a file that the disklist includes."""
    text = "includefile more\nlaptop\nlaptop /srv roaming\n"
    assert modernise(text, [DLE]) == (text, [])


def test_the_block_is_one_entry_to_the_disklist_of_a_run() -> None:
    """Its inner braces do not end it."""
    text, _ = modernise("laptop /home roaming\ntower /home roaming\n", [DLE])
    assert narrow_disklist(text.split("\n"), {"laptop"}) + "tower /home roaming\n" == text
