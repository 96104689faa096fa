"""What people read of the standard vitals: the Markdown file beside each module.

A first-level heading names one alert or several; the second-level headings below it are
their sections: ``Summary`` and ``Description`` of an alert, ``Meaning``, ``Impact``,
``Diagnosis`` and ``Mitigation`` of its runbook, ``Why`` and ``Remedy`` of an alert that
a vital has no data. A section that an alert gets from two places becomes one, in the
order of the file. Under ``# Charts`` the second-level headings are titles of charts.
"""

from __future__ import annotations

import re
from importlib import resources
from typing import TypedDict

from watchroom.catalogue.model import Runbook

# No comment in a block of shell looks like these.
_NAMES = re.compile(r"(?m)^# ([A-Z]\w+(?:, [A-Z]\w+)*)$")
_TITLE = re.compile(r"(?m)^## (.+)$")
_FENCE = re.compile(r"(```.*?```)", re.DOTALL)
_WRAP = re.compile(r"(?<=\S)\n *(?=[^\s-])")


class Unseen(TypedDict):
    """The first fields of a `Blind`."""

    name: str
    why: str
    remedy: str


class Words(TypedDict):
    """The fields of an `Alert` that people read."""

    name: str
    summary: str
    description: str
    runbook: Runbook


class Caption(TypedDict):
    """The fields of a `Chart` that people read."""

    title: str
    description: str


class Prose:
    """The texts of one module's alerts and charts."""

    def __init__(self, text: str) -> None:
        self._sections = _sections(text)

    def alert(self, name: str) -> Words:
        """Return the name, texts and runbook of an alert.

        Raises:
            KeyError: The file lacks the alert, or a section of it.
        """
        sections = self._sections[name]
        return Words(
            name=name,
            summary=_flowing(sections["Summary"]),
            description=_flowing(sections["Description"]),
            runbook=self.runbook(name),
        )

    def chart(self, title: str) -> Caption:
        """Return the title and description of a chart.

        Raises:
            KeyError: The file lacks the chart.
        """
        return Caption(
            title=title, description=_flowing(self._sections["Charts"][title])
        )

    def runbook(self, name: str) -> Runbook:
        """Return the runbook of an alert.

        Raises:
            KeyError: The file lacks the alert, or a section of it.
        """
        sections = self._sections[name]
        return Runbook(
            meaning=_flowing(sections["Meaning"]),
            impact=_flowing(sections["Impact"]),
            diagnosis=sections["Diagnosis"],
            mitigation=sections["Mitigation"],
        )

    def unseen(self, name: str) -> Unseen:
        """Return the name and texts of the alert that a vital is blind.

        Raises:
            KeyError: The file lacks the alert, or a section of it.
        """
        sections = self._sections[name]
        return Unseen(
            name=name,
            why=_flowing(sections["Why"]),
            remedy=_flowing(sections["Remedy"]),
        )


def beside(module: str) -> Prose:
    """Return what is written beside a module, given by its ``__name__``."""
    package, _, name = module.rpartition(".")
    path = resources.files(package) / f"{name}.md"
    return Prose(path.read_text(encoding="utf-8"))


def _sections(text: str) -> dict[str, dict[str, str]]:
    by_name: dict[str, dict[str, str]] = {}
    _, *pages = _NAMES.split(text)
    for names, page in zip(pages[::2], pages[1::2], strict=True):
        _, *sections = _TITLE.split(page)
        for title, body in zip(sections[::2], sections[1::2], strict=True):
            for name in names.split(", "):
                before = by_name.setdefault(name, {}).get(title, "")
                by_name[name][title] = f"{before}\n\n{body.strip()}".strip()
    return by_name


def _flowing(text: str) -> str:
    """Return Markdown with a line for each paragraph and item, code as it is.

    A panel's description shows line ends.
    """
    parts = _FENCE.split(text)
    return "".join(p if p.startswith("```") else _WRAP.sub(" ", p) for p in parts)
