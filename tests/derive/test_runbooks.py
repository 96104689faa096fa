"""Runbooks are used at night: their queries and commands are right as they stand."""

from __future__ import annotations

import re
import subprocess

import pytest
from tests.support.plans import built, planned

from watchroom.derive import selectors

PAGES = {
    path: text
    for path, text in built(planned(select='team="shop"')).items()
    if path.startswith("runbooks/")
}


def blocks(page, kind):
    return re.findall(rf"```{kind}\n(.*?)\n```", page, re.DOTALL)


@pytest.mark.parametrize("path", PAGES)
def test_the_commands_of_a_page_are_shell_and_meant_for_this_site(path):
    for command in blocks(PAGES[path], "sh"):
        done = subprocess.run(
            ["bash", "-n"], input=command, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, command + done.stderr
        assert "$" not in command.replace("$'", "")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_something_to_run_and_a_way_out(path):
    page = PAGES[path]
    assert blocks(page, "promql")
    diagnosis = page.partition("## Diagnosis")[2].partition("## Mitigation")[0]
    assert blocks(diagnosis, "(?:sh|promql)")
    assert "\n- " in page.partition("## Mitigation")[2]
    assert re.search(r"watchroom drill|Not drilled: ", page)


@pytest.mark.parametrize("path", PAGES)
def test_the_queries_of_a_page_look_at_our_own_targets(path):
    for query in blocks(PAGES[path], "promql"):
        for selector in selectors.names(query, path):
            assert ("team", "=", "shop") in selector.matchers
