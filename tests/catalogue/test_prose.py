"""What people read of the standard vitals is in Markdown beside them."""

import importlib
import re
from pathlib import Path

import pytest

from watchroom.catalogue import standard
from watchroom.catalogue.model import Vital
from watchroom.catalogue.prose import Prose

ROOT = Path(standard.__file__).parent
PAGES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.md"))

TEXT = """\
# Slow

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
"""


def names(module):
    for vital in vars(module).values():
        if isinstance(vital, Vital):
            yield from (alert.name for alert in vital.alerts)
            if vital.blind:
                yield vital.blind.name


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_page_is_of_the_vitals_of_its_module_and_of_no_others(page):
    module = ".".join(page.with_suffix("").parts)
    defined = set(names(importlib.import_module(f"{standard.__name__}.{module}")))
    headings = re.findall(r"(?m)^# (\w+(?:, \w+)*)$", (ROOT / page).read_text())
    assert {name for line in headings for name in line.split(", ")} == defined


def test_every_section_of_a_page_is_one_that_is_read():
    known = {"Meaning", "Impact", "Diagnosis", "Mitigation", "Why", "Remedy"}
    for page in PAGES:
        assert set(re.findall(r"(?m)^## (.*)$", (ROOT / page).read_text())) <= known


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


def test_an_alert_without_a_section_fails_when_it_is_loaded():
    with pytest.raises(KeyError, match="Meaning"):
        Prose(TEXT).runbook("Slower")
