"""What Amanda wrote, for the tests to read: 3.5.1, where nothing else is said.

run-logs: logs of real runs, and one trace, amdump.20261124151504. run-logs-3.5.4: those of runs in
which a part of Amanda died: the planner (20261128201737), the laptop's dumper (20261128201634, and
20261128201652 where that client was lost), and the chunkers (20261128201643, which had no end).
amstatus: what amstatus said of such traces; those of 20261124151504 are of that trace, cut off
where the run was at that step. held-dump: the log and trace of a run without taper, whose one dump
is held (how that Amanda was configured is left out).
"""

from pathlib import Path

_HERE = Path(__file__).parent


def read_sample(name: str) -> str:
    """Return the text of the sample `name`, such as `run-logs/log.20261123055457.0`."""
    return (_HERE / name).read_text(encoding="utf-8", errors="surrogateescape")


def list_run_logs() -> list[str]:
    """Return the names of all run logs, in the order of their times."""
    return sorted(f"run-logs/{path.name}" for path in (_HERE / "run-logs").glob("log.*"))
