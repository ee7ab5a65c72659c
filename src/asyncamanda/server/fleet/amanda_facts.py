"""What Amanda says of one of its configurations: disks, holding disks and volumes. Asked once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from asyncamanda.core.amanda.config import parse_config
from asyncamanda.core.amanda.disklist import Dle, join_disklist, parse_disklist, parse_dles
from asyncamanda.core.amanda.disklist_lines import find_retired
from asyncamanda.core.amanda.tapelist import count_free, parse_tapelist
from asyncamanda.core.dispatch.flush import Holding
from asyncamanda.errors import AsyncamandaError
from asyncamanda.server.amanda.commands import (
    Settings,
    check_answer,
    parse_settings,
    plan_config,
)
from asyncamanda.server.amanda.holding import look_at_holding
from asyncamanda.system.programs import run_program

ASKED_WITHIN = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class AmandaFacts:
    """What a configuration says; `fault` is why it says nothing, "" if it does.

    `dles` are the disks of each host, None where that is not known. `retired` are the hosts whose
    lines are comments, and since when. `volumes_free` of `volumes` may be written next.
    """

    fault: str = ""
    dles: Mapping[str, tuple[Dle, ...]] | None = None
    retired: Mapping[str, date] = field(default_factory=dict)
    holding: Holding | None = None
    volumes: int | None = None
    volumes_free: int | None = None


def look_at_amanda(amanda_config: str) -> AmandaFacts:
    """Return what Amanda says of a configuration, or why it cannot be asked."""
    try:
        said = run_program(plan_config(amanda_config), ASKED_WITHIN, encoding="utf-8")
        settings = parse_settings(amanda_config, said)
        dles = _read_dles(amanda_config)
    except AsyncamandaError as error:
        return AmandaFacts(error.message)
    words = parse_config(said.stdout)
    volumes, free = _count_volumes(settings, words.value("TAPECYCLE"), words.value("AUTOLABEL"))
    holding = look_at_holding(settings) if settings.holding else None
    return AmandaFacts("", dles, _read_retired(settings), holding, volumes, free)


def _read_dles(amanda_config: str) -> dict[str, tuple[Dle, ...]]:
    answers = []
    for word in ("dles", "disklist"):
        argv = ["amadmin", amanda_config, word]
        answers.append(run_program(argv, ASKED_WITHIN, encoding="utf-8"))
        check_answer(amanda_config, answers[-1])
    listed, said = (answer.stdout for answer in answers)
    found: dict[str, list[Dle]] = {}
    for dle in join_disklist(parse_dles(listed), parse_disklist(said)).values():
        found.setdefault(dle.host, []).append(dle)
    return {host: tuple(dles) for host, dles in found.items()}


def _read_retired(settings: Settings) -> dict[str, date]:
    try:
        text = settings.diskfile.read_bytes().decode("utf-8", "surrogateescape")
    except OSError:  # what it says is known from Amanda; only these lines are not
        return {}
    return find_retired(text)


def _count_volumes(
    settings: Settings, tapecycle: str, autolabel: str
) -> tuple[int | None, int | None]:
    try:
        text = settings.tapelist.read_text("utf-8", "replace")
    except OSError:  # Amanda makes it with the first volume
        return None, None
    volumes = parse_tapelist(text)
    if autolabel or not tapecycle.isdecimal():  # then Amanda labels a volume that it needs
        return len(volumes), None
    return len(volumes), count_free(volumes, int(tapecycle))
