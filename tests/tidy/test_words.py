"""Words that must not be in the repository. Here they are spelt in two parts, so that this file may be in it."""

from __future__ import annotations

import re

import pytest

from tests.tidy.tree import texts

UNFINISHED = re.compile("|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK", "NotImplemented" + "Error"]))
NOT_RUN = re.compile(r"pytest\.(mark\.)?(skip|xfail|import" + "orskip)|unittest" + r"\.skip")
MACHINE = re.compile(r"(?<![\w.$}])/(root|work|" + r"tmp|home(?!/ui-server))/\w")
_HOSTS = ("py" + r"pi\.org", "python" + r"hosted\.org", "npm" + r"js\.org", "crates" + r"\.io")
REGISTRIES = re.compile("|".join(_HOSTS))


@pytest.mark.parametrize(
    ("pattern", "instead"),
    [
        pytest.param(UNFINISHED, "finish it, or write down in words what falls short and why", id="unfinished"),
        pytest.param(NOT_RUN, "a test runs and can fail, or it is not there", id="not-run"),
        pytest.param(MACHINE, "a path of one machine: take a setting, a fixture or a relative path", id="machine"),
        pytest.param(REGISTRIES, "where packages come from is each installation's own affair", id="registry"),
    ],
)
def test_a_word_that_must_not_be_here_is_not(pattern: re.Pattern[str], instead: str) -> None:
    """No tracked file holds a marker of unfinished work, a test that does not run, a machine's path or a registry."""
    found = [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in texts().items()
        if pattern.search(text)
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]

    assert [] == found, instead


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (UNFINISHED, "# TO" + "DO: later"),
        (NOT_RUN, "@pytest.mark.sk" + "ip"),
        (MACHINE, 'Path("/ro' + 'ot/thing")'),
        (REGISTRIES, "https://py" + "pi.org/simple"),
    ],
)
def test_the_rules_notice_what_they_are_about(pattern: re.Pattern[str], line: str) -> None:
    """Each rule finds an example of what it forbids."""
    assert pattern.search(line)
