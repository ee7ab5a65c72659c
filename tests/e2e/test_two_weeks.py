"""Two weeks of a laptop and a netbook, start by start, against a file that people can read.

`UPDATE_GOLDEN=1 ./test tests/e2e/test_two_weeks.py` writes it again: read what has changed in it.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from difflib import unified_diff
from itertools import pairwise
from pathlib import Path

import pytest
from tests.e2e.machine import ZONE, Machine, Place, format_wall, move_to_berlin, set_time
from tests.e2e.office import CONF, DISK, Office, open_office

from asyncamanda.core.conditions.surroundings import LinkKind

GOLDEN = Path(__file__).with_name("two-weeks.golden")
HEAD = """\
# Two weeks in Berlin, whose clocks go back on Sunday, 26 October. A backup is due each day, on
# the laptop Mon..Fri 08:00-19:00; all else is as it comes. Code 0 is left out.
# On holiday conditions give in: windows early on Tuesday, on_battery that evening, then metered.
"""
ENDS_OF_RUNS = {"backed up", "disk-failed"}
# planner's clock is the true one, by which each full dump is long due
SELDOM_FULL = ("dumpcycle 1 week", "dumpcycle 3000 weeks")
NARROW = ("use 500 mbytes", "use 1 mbytes")
NO_LABELS = ("autolabel", "#autolabel")  # else it would go straight to volumes
VIDEO = 2_000_000  # bytes

OFFICE = Place("office", LinkKind.ETHERNET)
HOTEL = Place("Hotel Adlon Guest", LinkKind.WIFI, is_metered=True)
TRAIN = Place("WIFIonICE", LinkKind.WIFI, battery=22)
TRAIN_SEAT = Place("WIFIonICE", LinkKind.WIFI)
HOME = Place("home", LinkKind.WIFI)
SEASIDE = Place("Anna's phone", LinkKind.WIFI, is_metered=True, battery=25)


class Story:
    """October 2025, from the 20th on, which is a Monday."""

    def __init__(self, office: Office, stack: ExitStack) -> None:
        self.office = office
        self.conf = office.server.read(CONF).replace(*SELDOM_FULL)
        self.laptop = Machine(office, office.client("laptop"), stack)
        self.netbook = Machine(office, office.client("netbook"), stack)
        self._now = datetime.min.replace(tzinfo=ZONE)

    def be(self, day: int, time: str) -> str:
        """Let it be that time on that day, and return it in words."""
        hour, minute = map(int, time.split(":"))
        moment = datetime(2025, 10, day, hour, minute, tzinfo=ZONE)
        assert moment > self._now
        self._now = moment
        set_time(self.office, moment)
        return format_wall(moment)

    def furnish(self) -> None:
        """Let the story begin."""
        move_to_berlin(self.office)
        self.office.server.write(CONF, self.conf, owner="backup")
        self.be(20, "08:00")
        self.office.fill()
        self.office.set_up()
        windows = ["Mon..Fri 08:00-19:00"]
        self.laptop.furnish(retry_within="1h", on_battery="30%", windows=windows)
        self.netbook.furnish(retry_within="1h")

    def start(self, machine: Machine, day: int, *times: str) -> None:
        """Start a machine's agent at these times of a day."""
        for time in times:
            machine.start(self.be(day, time))

    def tell(self, machine: Machine, day: int, time: str, words: str) -> None:
        """Let something happen to a machine, which is to be done by the caller."""
        machine.note(self.be(day, time), words)

    def text(self) -> str:
        """Return it all."""
        text = HEAD
        for machine in (self.laptop, self.netbook):
            text += "\n".join(["", machine.client.name, *machine.lines, "remembered:", ""])
            text += "".join(f"  {row}\n" for row in machine.history())
        return f"{text}\nruns of amdump: {self.office.server.amdump_count}\n"


@pytest.fixture
def story(lab_prefix: Path) -> Iterator[Story]:
    """Yield an office, a laptop in it, and a netbook at somebody's home."""
    with open_office(lab_prefix, "laptop", "netbook") as office, ExitStack() as stack:
        story = Story(office, stack)
        story.furnish()
        yield story


def test_two_weeks_of_a_laptop(story: Story) -> None:
    """It is backed up in good moments, and at the last in a bad one; people hear what is new."""
    _travel(story)
    _bear_a_failure(story)
    _go_on_holiday(story)
    _come_back(story)
    for machine in (story.laptop, story.netbook):
        assert all(one != next_one for one, next_one in pairwise(machine.told)), machine.told
    ends = [*story.laptop.ends, *story.netbook.ends]
    to_volumes = story.office.diary.count("--no-flush")  # tried for the same request
    assert to_volumes
    runs = sum(end in ENDS_OF_RUNS for end in ends) + to_volumes
    assert story.office.server.amdump_count == runs
    text = story.text()
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(text, "utf-8")
    golden = GOLDEN.read_text("utf-8")
    differences = list(unified_diff(golden.splitlines(), text.splitlines(), lineterm=""))
    assert not differences, "\n".join(differences)


def _travel(story: Story) -> None:
    """Monday to Wednesday: the office, a hotel's wifi, a train; the netbook's line breaks."""
    laptop, netbook = story.laptop, story.netbook
    laptop.be(OFFICE)
    story.start(laptop, 20, "09:05")
    story.start(netbook, 20, "10:00")
    story.start(laptop, 20, "12:05", "15:05", "17:25")
    story.tell(netbook, 20, "18:00", "the line to the server is cut")
    netbook.cut()
    story.start(netbook, 21, "10:00")
    laptop.be(HOTEL)
    story.start(laptop, 21, "16:30", "18:45")
    story.tell(laptop, 21, "18:50", "the lid is closed")
    story.start(laptop, 21, "20:15")
    laptop.be(TRAIN)
    story.start(laptop, 22, "10:00")
    laptop.draw_longest_wait()
    laptop.be(TRAIN_SEAT)
    story.start(laptop, 22, "10:01")
    story.start(laptop, 22, "14:00")


def _bear_a_failure(story: Story) -> None:
    """Thursday and Friday: the server cannot, is asked seldom, and is fixed."""
    laptop, server = story.laptop, story.office.server
    laptop.be(OFFICE)
    story.start(story.netbook, 23, "09:30")
    story.tell(laptop, 23, "10:00", "a video is added, and the server has no room for it")
    laptop.client.add_tree(DISK, files=1, bytes_each=VIDEO)
    narrow = story.conf.replace(*NARROW).replace(*NO_LABELS)
    server.write(CONF, narrow, owner="backup")
    # after a run half of each wait is certain: of five minutes first, and then of ten
    story.start(laptop, 23, "10:30", "10:32", "12:00")
    story.tell(laptop, 23, "12:02", "its power fails, and is back")
    laptop.reboot()
    story.start(laptop, 23, "12:04")
    story.tell(laptop, 24, "08:00", "the server is mended")
    server.write(CONF, story.conf, owner="backup")
    story.start(laptop, 24, "09:05", "12:05")


def _go_on_holiday(story: Story) -> None:
    """A weekend, and four days on a phone's link and battery: conditions are ignored one by one."""
    laptop, netbook = story.laptop, story.netbook
    story.start(netbook, 25, "10:00")
    laptop.be(HOME)
    story.start(laptop, 26, "10:30", "20:00")
    story.start(laptop, 27, "08:00")
    story.start(netbook, 27, "08:30")
    netbook.draw_longest_wait()
    story.start(netbook, 27, "09:05")
    laptop.be(SEASIDE)
    story.start(laptop, 27, "10:00")
    story.start(netbook, 27, "12:00")
    story.start(laptop, 27, "20:00")
    story.start(laptop, 28, "10:00", "19:30", "20:45")
    story.start(netbook, 29, "12:00")
    story.start(laptop, 29, "12:10", "16:10")
    story.start(laptop, 30, "07:50")
    story.start(laptop, 30, "08:15", "09:00", "12:00")


def _come_back(story: Story) -> None:
    """The last Friday: the office, and the netbook's line is fixed."""
    laptop, netbook = story.laptop, story.netbook
    laptop.be(OFFICE)
    story.start(laptop, 31, "09:05", "12:05")
    story.tell(netbook, 31, "13:00", "the line is mended")
    netbook.heal()
    story.start(netbook, 31, "14:00", "18:00")
