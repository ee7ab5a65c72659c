"""What ./test is made of."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_part_of_the_core_is_there() -> None:
    """And every test of e2e that is not in it is left out for `./test all` only."""
    listed = re.search(r"^core=\(([^)]*)\)", (ROOT / "test").read_text("utf-8"), re.MULTILINE)
    assert listed
    names = listed[1].split()
    assert [name for name in names if not (ROOT / f"tests/e2e/test_{name}.py").exists()] == []
    assert {"main_job", "gate", "relay", "false_base", "side_by_side"} <= {*names}
