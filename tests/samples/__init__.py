"""What Amanda 3.5.1 wrote, for the tests to read.

run-logs: logs of real runs, and one trace, amdump.20261124151504. amstatus: what amstatus said of
such traces; those of 20261124151504 are of that trace, cut off where the run was at that step.
"""

from pathlib import Path

_HERE = Path(__file__).parent


def read_sample(name: str) -> str:
    """Return the text of the sample `name`, such as `run-logs/log.20261123055457.0`."""
    return (_HERE / name).read_text(encoding="utf-8", errors="surrogateescape")


def list_run_logs() -> list[str]:
    """Return the names of all run logs, in the order of their times."""
    return sorted(f"run-logs/{path.name}" for path in (_HERE / "run-logs").glob("log.*"))
