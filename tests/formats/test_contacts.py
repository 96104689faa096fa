"""contacts.yml: strict, with file, line and field of what is wrong."""

from __future__ import annotations

import pytest

from watchroom.errors import ConfigError
from watchroom.formats import contacts

GOOD = """\
contacts:
  - name: Anna
    receivers: [ops]
    reach: "+49 30 1"
  - name: Ben
    receivers: [ben]
  - name: Sue
"""
BAD = {
    "an unknown key": (GOOD + "rota: weekly\n", (8, "rota", "")),
    "a misspelt key": (
        "contacts:\n  - nmae: A\n",
        (2, "nmae", "did you mean 'name'?"),
    ),
    "an unknown receiver": (
        "contacts:\n  - name: A\n    receivers: [opps]\n",
        (3, "no receiver is named 'opps'", "known receivers: ben, ops"),
    ),
    "the same name twice": (
        "contacts:\n  - name: A\n  - name: a\n",
        (3, "two contacts are named 'a'", ""),
    ),
    "an empty name": ("contacts:\n  - name: ''\n", (2, "'' isn't a valid name", "")),
    "nobody of that name": (
        GOOD + "escalation: [Anna, Bob]\n",
        (8, "no contact is named 'Bob'", "known contacts: Anna, Ben, Sue"),
    ),
    "somebody who cannot be told": (
        GOOD + "escalation: [Sue]\n",
        (8, "Sue has no receivers", "receivers: [NAME]"),
    ),
    "the same step twice": (
        GOOD + "escalation: [Anna, Anna]\n",
        (8, "'Anna' is listed twice", ""),
    ),
    "no duration": (GOOD + "repeat: often\n", (8, "is not a duration", "5m")),
    "never": (GOOD + "escalate_after: 0s\n", (8, "longer than 0", "5m")),
    "no time-out": (GOOD + "ack_timeout: later\n", (8, "is not a duration", "5m")),
    "no YAML": ("contacts: ]", (1, "not YAML", "")),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_wrong_is_said_with_its_place(what):
    text, (line, words, hint) = BAD[what]
    with pytest.raises(ConfigError) as caught:
        contacts.load(text, "local/contacts.yml", ["ops", "ben"])
    assert caught.value.file == "local/contacts.yml"
    assert caught.value.line == line, caught.value
    assert words in str(caught.value)
    assert hint in str(caught.value)


def test_the_order_is_that_of_the_file_or_as_said():
    found = contacts.load(GOOD, "c", ["ops", "ben"])
    assert [one.name for one in found.order()] == ["Anna", "Ben"]
    assert (found.repeat_ms, found.escalate_ms) == (300_000, 600_000)
    other = contacts.load(GOOD + "escalation: [ben, ANNA]\n", "c", ["ops", "ben"])
    assert [one.name for one in other.order()] == ["Ben", "Anna"]
    assert found.named(" sue ").name == "Sue"
    assert contacts.load("", "c", []).order() == []
