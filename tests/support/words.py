"""Everything a person reads, piece by piece: for tests about words."""

from __future__ import annotations

import ast
import re
import tokenize
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from tests.support import documents, plans
from tests.support.documents import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SOURCE = ROOT / "src" / "watchroom"
_BUILT = "built:"
_PROSE = (".html", ".md", ".txt", ".yml", ".json", ".toml")

_TAG = re.compile(r"\{[{%].*?[%}]\}", re.DOTALL)  # of a template,
_TEST = re.compile(r"\bis (not )?none\b")  # where this is no English


class Text(NamedTuple):
    """Something to read, its white space as single blanks.

    Attributes:
        path: The file it is in, relative to the repository, or ``built:`` and a path.
        line: Where it begins.
        text: The words; what is filled in at run time is ``{}``.
    """

    path: str
    line: int
    text: str


def sources(*, docstrings: bool) -> Iterator[Text]:
    """Yield what Python files hold: either their docstrings or their other strings."""
    for path, tree in _trees():
        documented = {id(one) for one in _docstrings(tree)}
        inside = {
            id(part)
            for node in ast.walk(tree)
            if isinstance(node, ast.JoinedStr)
            for part in ast.walk(node)
            if part is not node
        }
        for node in ast.walk(tree):
            if id(node) in inside or (id(node) in documented) is not docstrings:
                continue
            text = _text(node)
            if " " in text.strip():  # a single word is a key or a name
                yield _piece(path, node.lineno, text)


def comments() -> Iterator[Text]:
    """Yield the comments of Python files; lines that follow each other are one."""
    for path, _ in _trees():
        with path.open("rb") as file:
            lines = [
                (token.start[0], token.string.lstrip("# "))
                for token in tokenize.tokenize(file.readline)
                if token.type == tokenize.COMMENT
            ]
        for _, block in groupby(enumerate(lines), lambda at: at[1][0] - at[0]):
            numbers, texts = zip(*(line for _, line in block), strict=True)
            yield _piece(path, numbers[0], " ".join(texts))


@cache
def _trees() -> list[tuple[Path, ast.Module]]:
    return [(one, ast.parse(one.read_text())) for one in sorted(_SOURCE.rglob("*.py"))]


def _docstrings(tree: ast.Module) -> Iterator[ast.Constant]:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else ():
            if isinstance(statement, ast.Expr) and isinstance(
                statement.value, ast.Constant
            ):
                yield statement.value


def _text(node: ast.AST) -> str:
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(
                part.value if isinstance(part, ast.Constant) else "{}" for part in parts
            )
    return ""


def templates() -> Iterator[Text]:
    """Yield the files beside the code: console pages, runbooks, mail."""
    for path in sorted(_SOURCE.rglob("*")):
        if path.suffix in _PROSE and "vendor" not in path.parts:
            yield from _lines(path)


def papers() -> Iterator[Text]:
    """Yield README, the changelog, every document and every decision."""
    for path in documents.DOCUMENTS:
        yield from _lines(path)


def built() -> Iterator[Text]:
    """Yield the files that `watchroom build` writes for a project that has it all."""
    for path, text in plans.built(plans.planned()).items():
        yield Text(f"{_BUILT}{path}", 1, " ".join(text.split()))


def _lines(path: Path) -> Iterator[Text]:
    """Yield the paragraphs of a file."""
    line = 1
    for part in re.split(r"(\n\s*\n)", path.read_text()):
        if part.strip():
            yield _piece(path, line, part)
        line += part.count("\n")


def _piece(path: Path, line: int, text: str) -> Text:
    text = _TAG.sub(lambda tag: _TEST.sub("", tag[0]), text)
    return Text(path.relative_to(ROOT).as_posix(), line, " ".join(text.split()))
