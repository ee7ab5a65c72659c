"""What is said of whole images."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from asyncamanda.core.restore.answer import ImageOfDisk, ImagesPlan
from asyncamanda.report.images import (
    ImagesOutcome,
    describe_end,
    describe_images,
    describe_reading,
    images_value,
)

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
FULL = ImageOfDisk("20261119120000", AT, 0, "/sbin/dump", size=3_000_000)
NEXT = ImageOfDisk("20261120120000", AT, 1, "/sbin/dump")
PLAN = ImagesPlan((FULL, NEXT), ("a doubt",))
BOTH = ImagesOutcome(
    "/home", "/root/x", (("0.img", FULL), ("1.img", NEXT)), PLAN.doubts, is_folder=True
)
ONE = ImagesOutcome("/home", "/root/a b", (("", NEXT),))


def test_images_are_named_in_their_order_with_what_is_doubtful() -> None:
    """The level that all others build on comes first."""
    first, second, doubt = describe_images(BOTH, PLAN)
    assert first.startswith("0.img: level 0 of /home, made by /sbin/dump at 2026-11-20 ")
    assert first.endswith("(run 20261119120000), 3 MB")
    assert second.startswith("1.img: level 1 of /home, ")
    assert second.endswith("(run 20261120120000), of an unknown size")
    assert doubt == "warning: /home: a doubt"


def test_an_image_alone_is_said_to_be_not_all() -> None:
    """With what it builds on."""
    line, note = describe_images(ONE, PLAN)
    assert line.startswith("level 1 of /home, ")
    assert note.startswith("note: it builds on the image of level 0 (run 20261119120000)")
    full = replace(ONE, images=(("", FULL),))
    assert len(describe_images(full, PLAN)) == 1


def test_all_has_a_size_if_each_has_one() -> None:
    """Only then there can be a bar."""
    assert BOTH.total is None
    assert replace(BOTH, images=(("", FULL), ("", FULL))).total == 6_000_000


UNPACK = "to unpack, in an empty folder (more: docs/restore-by-hand.md):"


@pytest.mark.parametrize(
    ("image", "reading"),
    [
        (NEXT, (UNPACK, ["restore -r -f /x"])),
        (replace(NEXT, maker="/usr/sbin/xfsdump"), (UNPACK, ["xfsrestore -r -f /x ."])),
        (
            replace(NEXT, maker="amgtar", is_tar=True),
            (UNPACK, ["tar --extract --incremental --file /x"]),
        ),
        (
            replace(NEXT, maker="amraw\x1b"),
            ("the documentation of amraw\\x1b says what reads it", []),
        ),
    ],
)
def test_it_is_said_what_reads_an_image(image: ImageOfDisk, reading: tuple[str, list[str]]) -> None:
    """As far as that is known of its maker, whose name is the client's to say."""
    assert describe_reading(replace(ONE, target="/x", images=(("", image),))) == reading


def test_the_end_names_each_image_where_it_is() -> None:
    """A command for each, in one piece, so that it can be pasted; what stdout had is on stdin."""
    assert describe_reading(BOTH)[1] == [
        "restore -r -f /root/x/0.img &&",
        "restore -r -f /root/x/1.img",
    ]
    unread = [(name, replace(image, maker="amraw")) for name, image in BOTH.images]
    words = "the documentation of amraw says what reads them; level 0 comes first"
    assert describe_reading(replace(BOTH, images=tuple(unread))) == (words, [])
    assert describe_reading(ONE)[1] == ["restore -r -f '/root/a b'"]
    assert describe_reading(replace(ONE, target="/root/a\nb"))[1] == [
        r"restore -r -f $'/root/a\x0ab'"
    ]
    stdout = replace(ONE, target="", size=7, seconds=1.0)
    assert describe_end(stdout) == "restored 1 image, 7 B to stdout in 1.0s"
    assert describe_reading(stdout)[1] == ["restore -r -f -"]


def test_programs_get_the_same() -> None:
    """Before it comes, and at the end with the exit code."""
    value = images_value(ONE)
    assert value["images"] == [
        {
            "name": None,
            "level": 1,
            "run": "20261120120000",
            "dumped_at": "2026-11-20T12:00:00+00:00",
            "maker": "/sbin/dump",
            "is_tar": False,
            "bytes": None,
        }
    ]
    assert "exit" not in value
    end = images_value(replace(BOTH, is_dry_run=True), 0)
    assert (end["outcome"], end["exit"], end["target"]) == ("dry run", 0, "/root/x")


def test_what_is_encrypted_is_not_said_to_be_tars() -> None:
    """The server gives it as it lies there."""
    sealed = replace(NEXT, maker="amgtar", is_tar=True, claims="crypt enc client_encrypt /x")
    words, commands = describe_reading(replace(ONE, images=(("", sealed),)))
    assert "the client has encrypted it" in words
    assert commands == []
