"""What holds for all tests: in CI a skip that is not on the list fails, a whole file's as well.

And what a failure prints can be read.
"""

import os
from collections.abc import Generator

import pytest
from _pytest._code.code import ExceptionRepr
from tests.brevity import sendable, shorten

# ./test calls it that; of one called CI pytest would print all values whole
IS_CI = bool(os.environ.get("ASYNCAMANDA_CI"))

# node id: the reason why it may be skipped there
ALLOWED_SKIPS: dict[str, str] = (
    dict.fromkeys(
        (
            "tests/e2e/test_mixed.py::"
            f"test_backups_of_another_debian_are_whole_and_losses_stay_ones_own[{who} other]"
            for who in ("client", "server", "all")
        ),
        "it needs a root of another Debian, which nobody has to have",
    )
    | dict.fromkeys(
        (
            "tests/e2e/test_renumbered.py::test_another_device_number_makes_no_full_of_a_level_1",
            "tests/e2e/test_renumbered.py::test_a_dle_by_gnutar_is_modernised_when_asked",
        ),
        "it needs btrfs, which not every kernel has",
    )
    | dict.fromkeys(
        (
            f"tests/system/test_contrib.py::{name}"
            for name in (
                "test_prometheus_finds_nothing_wrong_with_the_metrics[server]",
                "test_prometheus_finds_nothing_wrong_with_the_metrics[client]",
                "test_names_of_any_kind_break_no_metric",
                "test_the_rules_alert_when_they_should",
                "test_the_dashboards_queries_are_understood",
            )
        ),
        "it needs promtool, for which only `./test all` installs Debian's prometheus",
    )
    | dict.fromkeys(
        (
            "tests/system/test_migrations.py::test_a_database_server_takes_the_same_steps",
            "tests/system/test_ownership.py::"
            "test_a_second_server_is_refused_until_it_takes_the_ledger_over",
            "tests/system/test_ownership.py::"
            "test_an_import_lets_the_server_that_is_made_of_it_be_the_owner",
        ),
        "it needs a database server, which is experimental",
    )
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip that is not on the list into a failure, in CI; shorten what a failure prints."""
    report = yield
    if isinstance(report.longrepr, ExceptionRepr):
        shorten(report.longrepr)
    if report.skipped and IS_CI and item.nodeid not in ALLOWED_SKIPS:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped in CI: {call.excinfo}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn a file that skips itself, as by importorskip(), into an error, in CI."""
    report = yield
    if report.skipped and IS_CI and collector.nodeid not in ALLOWED_SKIPS:
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} was skipped in CI: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, object, object]:
    """Let a report reach the process that prints it, whatever names a test that failed is about."""
    return sendable((yield))
