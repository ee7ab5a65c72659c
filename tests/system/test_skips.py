"""In CI a skip that is not on the list fails, be it one test's or a whole file's."""

import os
import subprocess
import sys
from pathlib import Path

CONFTEST = Path(__file__).parents[1] / "conftest.py"
SKIPS = {
    "mark": "@pytest.mark.skip\ndef test_it(): pass",
    "call": "def test_it(): pytest.skip('here')",
    "fixture": "@pytest.fixture\ndef ground(): pytest.skip('here')\ndef test_it(ground): pass",
    "import": "pytest.importorskip('no_such_module')\ndef test_it(): pass",
    "module": "pytest.skip('here', allow_module_level=True)\ndef test_it(): pass",
}


def run_tests(folder: Path, *, ci: bool, allowed: tuple[str, ...] = ()) -> tuple[int, str]:
    """Run a test that passes and all that skip below our conftest.py; return how that ended."""
    text = CONFTEST.read_text("utf-8")
    text += f"\nALLOWED_SKIPS.update(dict.fromkeys({allowed!r}, 'because'))\n"
    (folder / "conftest.py").write_text(text)
    (folder / "test_good.py").write_text("def test_it(): pass\n")
    for name, skip in SKIPS.items():
        (folder / f"test_{name}.py").write_text(f"import pytest\n{skip}\n")
    environ = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PATH": os.environ["PATH"]}
    environ["PYTHONPATH"] = str(CONFTEST.parents[1])
    options = ("-q", "-p", "no:cacheprovider", "--rootdir=.", "--continue-on-collection-errors")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=folder,
        env=environ | ({"ASYNCAMANDA_CI": "true"} if ci else {}),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_a_skip_that_is_not_on_the_list_fails_in_ci(tmp_path: Path) -> None:
    """What is not tested is not proved, whether a test or a whole file says so; it is named."""
    code, said = run_tests(tmp_path, ci=True)
    assert code == 1, said
    for name in ("mark", "call", "fixture"):
        assert f"test_{name}.py::test_it was skipped in CI" in said
    for name in ("import", "module"):
        assert f"test_{name}.py was skipped in CI" in said
    assert "1 passed" in said
    assert " skipped in " not in said.splitlines()[-1]


def test_a_skip_on_the_list_passes_in_ci(tmp_path: Path) -> None:
    """One list for both, and for what is on it only."""
    tests = tuple(f"test_{name}.py::test_it" for name in ("mark", "call", "fixture"))
    code, said = run_tests(tmp_path, ci=True, allowed=(*tests, "test_import.py", "test_module.py"))
    assert (code, "1 passed, 5 skipped" in said) == (0, True), said


def test_a_skip_passes_elsewhere(tmp_path: Path) -> None:
    """Not every machine has everything."""
    code, said = run_tests(tmp_path, ci=False)
    assert (code, "1 passed, 5 skipped" in said) == (0, True), said
