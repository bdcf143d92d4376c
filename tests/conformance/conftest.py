"""How `python -m pytest tests/conformance` finds the library, chooses cases and counts them."""

import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

try:
    import frozen
except ImportError:
    sys.path.insert(0, str(ROOT / "python"))
    import frozen

import cases  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--library", help="the folder of libfrozen.so.0 and libfrozen-freeze.so.0")
    parser.addoption("--known", metavar="FILE",
                     help="cases that do not pass yet, by name: they are counted apart")


def pytest_configure(config):
    config.addinivalue_line("markers", "known: the case does not pass yet")
    folder = config.getoption("--library")
    if folder is None and (ROOT / "build" / "lib" / "libfrozen.so.0").exists():
        folder = str(ROOT / "build" / "lib")
    if folder:
        frozen.load(folder)


def pytest_generate_tests(metafunc):
    if "case_name" in metafunc.fixturenames:
        known = set()
        if metafunc.config.getoption("--known"):
            known = set(cases.listed(metafunc.config.getoption("--known")))
        metafunc.parametrize("case_name", [
            pytest.param(name, marks=pytest.mark.known if name in known else ()) for name in CASES])


@pytest.fixture
def case(case_name):
    return CASES[case_name]


CASES = cases.load()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Lets a report carry what the case came to, beside pytest's own outcome."""
    outcome = yield
    report = outcome.get_result()
    report.word = getattr(item, "conformance", None)
    if report.when == "call" and item.get_closest_marker("known") and report.failed:
        report.outcome, report.word = "skipped", "known"
        report.longrepr = (str(item.path), 0, "known not to pass yet")


def pytest_report_teststatus(report, config):
    word = getattr(report, "word", None)
    if report.when == "call" and word == "known" and report.skipped:
        return "not passing yet", "k", "NOT YET"
    if report.when == "call" and report.passed and word:
        return word, "r" if word.startswith("refused") else "n", word.upper()
    return None


def pytest_terminal_summary(terminalreporter):
    """One line for each case that did not pass, with the reason."""
    for report in terminalreporter.getreports("failed"):
        name = report.nodeid.partition("[")[2].rstrip("]") or report.nodeid
        reason = " ".join(str(report.longrepr).split())
        terminalreporter.write_line(f"FAIL {name}: {reason[:300]}")
