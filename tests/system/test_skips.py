"""In CI a skip that is not on the list fails, be it one test's or a whole file's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
SKIPS = {
    "mark": "@pytest.mark.skip\ndef test_it(): pass",
    "call": "def test_it(): pytest.skip('here')",
    "fixture": "@pytest.fixture\ndef ground(): pytest.skip('here')\ndef test_it(ground): pass",
    "import": "pytest.importorskip('no_such_module')\ndef test_it(): pass",
    "module": "pytest.skip('here', allow_module_level=True)\ndef test_it(): pass",
}


def run_tests(folder: Path, skip: str, *, ci: bool, allowed: str = "") -> tuple[int, str]:
    """Run a test that passes and one that skips below our conftest.py; return how that ended."""
    text = CONFTEST.read_text("utf-8")
    if allowed:
        text += f"\nALLOWED_SKIPS[{allowed!r}] = 'because'\n"
    (folder / "conftest.py").write_text(text)
    (folder / "test_good.py").write_text("def test_it(): pass\n")
    (folder / "test_odd.py").write_text(f"import pytest\n{skip}\n")
    environ = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", "--rootdir=."],
        cwd=folder,
        env=environ | ({"CI": "true"} if ci else {}),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("skip", SKIPS.values(), ids=SKIPS.keys())
def test_a_skip_that_is_not_on_the_list_fails_in_ci(tmp_path: Path, skip: str) -> None:
    """What is not tested is not proved, whether a test or a file says so; it is named."""
    code, said = run_tests(tmp_path, skip, ci=True)
    assert code != 0
    assert "test_odd.py" in said
    assert "was skipped in CI" in said


@pytest.mark.parametrize(
    ("skip", "allowed"), [("mark", "test_odd.py::test_it"), ("import", "test_odd.py")]
)
def test_a_skip_on_the_list_passes_in_ci(tmp_path: Path, skip: str, allowed: str) -> None:
    """One list for both."""
    code, said = run_tests(tmp_path, SKIPS[skip], ci=True, allowed=allowed)
    assert (code, "1 passed, 1 skipped" in said) == (0, True), said


@pytest.mark.parametrize("skip", ["call", "module"])
def test_a_skip_passes_elsewhere(tmp_path: Path, skip: str) -> None:
    """Not every machine has everything."""
    code, said = run_tests(tmp_path, SKIPS[skip], ci=False)
    assert (code, "1 passed, 1 skipped" in said) == (0, True), said
