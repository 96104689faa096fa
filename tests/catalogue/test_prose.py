"""What people read of the standard vitals is in Markdown beside them."""

import importlib
import re
from pathlib import Path

import pytest

from watchroom.catalogue import standard
from watchroom.catalogue.model import Chart, Vital
from watchroom.catalogue.prose import Prose

ROOT = Path(standard.__file__).parent
PAGES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.md"))

TEXT = """\
# Slow

## Summary

{{ $labels.route }}
waits

## Description

Too long.

## Meaning

More than $limit_words
waited.

## Impact

- One item that goes on
  here.
- Another.

```sh
first
second
```

## Diagnosis

Its own.

# Slow, Slower

## Diagnosis

# no heading of ours: a comment
What both have,
as it is wrapped.

## Mitigation

Restart.

# Charts

## Waiting, p95

How long
they wait.
"""


SECTIONS = {
    *("Summary", "Description", "Meaning", "Impact", "Diagnosis", "Mitigation"),
    *("Why", "Remedy"),
}


def vitals(module):
    return [value for value in vars(module).values() if isinstance(value, Vital)]


def names(module):
    for vital in vitals(module):
        yield from (alert.name for alert in vital.alerts)
        if vital.blind:
            yield vital.blind.name


def charts(module):
    """Those of the module's vitals, unless a module of charts beside has them."""
    if not hasattr(module, "charts"):
        for vital in vitals(module):
            yield from (chart.title for chart in vital.charts)
    for value in vars(module).values():
        if isinstance(value, tuple):
            yield from (item.title for item in value if isinstance(item, Chart))


def sections(page):
    """Return the second-level headings of charts, and those of alerts by name."""
    _, *pages = re.split(r"(?m)^# (\w+(?:, \w+)*)$", (ROOT / page).read_text())
    found = {}
    for heading, text in zip(pages[::2], pages[1::2], strict=True):
        for name in heading.split(", "):
            found.setdefault(name, set()).update(re.findall(r"(?m)^## (.*)$", text))
    return found.pop("Charts", set()), found


def module_of(page):
    return importlib.import_module(
        ".".join((standard.__name__, *page.with_suffix("").parts))
    )


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_page_has_the_vitals_and_charts_of_its_module_and_no_others(page):
    module = module_of(page)
    titles, alerts = sections(page)
    assert set(alerts) == set(names(module))
    assert titles == set(charts(module))


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_section_of_a_page_is_one_that_is_read(page):
    _, alerts = sections(page)
    assert set().union(*alerts.values()) <= SECTIONS


def test_paragraphs_and_items_become_one_line_and_code_stays():
    book = Prose(TEXT).runbook("Slow")
    assert book.meaning == "More than $limit_words waited."
    items = "- One item that goes on here.\n- Another."
    assert book.impact == f"{items}\n\n```sh\nfirst\nsecond\n```"


def test_a_section_that_several_alerts_share_follows_their_own():
    shared = "# no heading of ours: a comment\nWhat both have,\nas it is wrapped."
    book = Prose(TEXT).runbook("Slow")
    assert book.diagnosis == f"Its own.\n\n{shared}"
    assert book.mitigation == "Restart."


def test_an_alert_has_its_name_texts_and_runbook():
    prose = Prose(TEXT)
    assert prose.alert("Slow") == {
        "name": "Slow",
        "summary": "{{ $labels.route }} waits",
        "description": "Too long.",
        "runbook": prose.runbook("Slow"),
    }


def test_a_chart_has_its_title_and_how_to_read_it():
    assert Prose(TEXT).chart("Waiting, p95") == {
        "title": "Waiting, p95",
        "description": "How long they wait.",
    }


def test_an_alert_without_a_section_fails_when_it_is_loaded():
    with pytest.raises(KeyError, match="Meaning"):
        Prose(TEXT).runbook("Slower")
