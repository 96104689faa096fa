"""The documents of the repository: their code blocks, and the commands in these."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "benchmarks/*.md", "examples/**/*.md")
    for path in ROOT.glob(pattern)
)
README = (ROOT / "README.md").read_text()
_FENCE = re.compile(r"(?ms)^```(\w*)\n(.*?)^```$")
_ENDS = {"|", ">", "&&"}


def blocks(path, *languages):
    """Return the code blocks of these languages."""
    found = _FENCE.findall(path.read_text())
    return [text for language, text in found if language in languages]


def commands(path):
    """Return the commands of a document, as words; what follows a pipe is left out."""
    found = []
    # Beside what is typed a console shows what is answered.
    typed = re.findall(r"(?m)^\$ (.*)$", "".join(blocks(path, "console")))
    for text in [*blocks(path, "", "sh"), *typed]:
        for line in text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            end = next((i for i, word in enumerate(words) if word in _ENDS), None)
            words = words[:end]
            while words and re.match(r"[A-Z_]+=", words[0]):
                words.pop(0)
            if words:
                found.append(words)
    return found


def prose(path):
    """Return a document without its code blocks."""
    return _FENCE.sub("", path.read_text())


def anchors(path):
    """Return the anchors that GitHub gives the headings of a document."""
    found = re.findall(r"(?m)^#+ (.+)$", prose(path))
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in found}
