"""Values in the errors of databases and validators, and the literals of SQL.

Patterns are compiled when a text first needs them: most processes never do.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING

from watchroom.redact.patterns import compiled
from watchroom.redact.shapes import EVERYDAY, QUOTED, replaced, unlike_words

if TYPE_CHECKING:
    from collections.abc import Callable

_BODY = r"(?!\[redacted\])[^\n]"
# What is between these is rows and values. PostgreSQL says it in its users' languages
# (the catalogues of its messages).
_WHOLES = (
    (
        r"((?:Failing row contains|Fehlgeschlagene Zeile enthält"
        r"|La ligne en échec contient|La fila que falla contiene"
        r"|La riga in errore contiene|Registro que falhou contém) \()(?!\[redacted\])"
        r"(?:[\s\S]{1,4096}?(?=\)\.?\s{0,4}(?:\n|[\"'\\]|\Z))"
        r"|[^\n]{1,8192}(?=\))|[^\n]{1,8192})()"
    ),
    rf"(The duplicate key value is \(){_BODY}{{1,4096}}?(\))",
    rf"(dup key: \{{){_BODY}{{1,4096}}?(\}})",
    rf"(\bkeyValue\\{{0,3}}[\"']?: ?\{{){_BODY}{{1,4096}}?(\}})",
    rf"(Duplicate entry '){_BODY}{{1,4096}}?(' for key)",
    rf"(\bnear '){_BODY}{{1,256}}?('{{1,2}} at line \d)",
    rf"(\[parameters: )(?:{_BODY}{{1,8192}}(?=\])|{_BODY}{{1,8192}})()",
    rf"(\b[Pp]arameters: (?=\$\d)){_BODY}{{1,8192}}()",
    rf"(\bPARAMS = \()(?:(?!\);|\)$){_BODY}){{1,8192}}()",
    # SQLAlchemy's echo
    (
        r"(\[(?:generated in|cached since|no key|raw sql|dialect)[^\]\n]{0,64}\] )"
        r"(?=[(\[{](?![)\]}]|redacted\]))[^\n]{1,8192}()"
    ),
    rf"(; (?:args|params)=)(?:(?!; alias=){_BODY}){{1,8192}}()",
    rf"(COPY [^\n]{{1,128}}line \d{{1,12}}[^:\n]{{0,80}}: \"){_BODY}{{1,4096}}(\")",
    rf"(\bJSON data, line \d{{1,9}}: ){_BODY}{{1,4096}}()",
)
# What programs say before a value that they could not take, in quotes.
_BEFORE_QUOTED = (
    r"invalid literal for int\(\) with base \d{1,2}: ",
    r"could not convert string to (?:float|complex): ",
    r"(?:Invalid isoformat string|malformed node or string[^:]{0,32}): ",
    r"time data (?=.{1,512}does not match)",
    r"invalid input (?:syntax for|value for)[^:\n]{1,64}: ",
    r"(?:date/time|numeric) field value out of range: ",
    r"malformed array literal: ",
    r"(?:Incorrect|Truncated incorrect)[\w() ]{1,32} value: ",
    r"truncated value: ",
    r"converting the \w{1,32} value ",
    r"value (?=.{1,512}is out of range for type)",
    r"\binput_value=",
    r"(?<=type': )'\w{1,64}', [^\n]{1,512}'input': ",
    r"(?<=type\": )\"\w{1,64}\", ?[^\n]{1,512}\"input\": ?",
    r"(?<=type\":)\"\w{1,64}\",[^\n]{1,512}\"input\":",
    r"\bor near ",
    r"\bInvalid pk ",
    r"expected a number but got ",
    r"On instance(?:\[[^\]\n]{1,64}\]){0,8}:\s{1,8}",
    r"in header value:? ",
    r"Invalid header value ",
    r"must match regex [^\n]{1,512}\(",
)
_BEFORE_BARE = (
    r"Select a valid choice\. ()(?=.{1,512} is not one of)",
    r"\(got ()(?=[^\n]{1,512} that is a)",
    r"unconverted data remains: ",
    r"Unknown string format: ",
    r"\binput_value=(?![\"'])",
)
_AFTER = (
    "is not (?:an? |of type|one of|valid|in |allowed)|does not match"
    "|is too (?:short|long)|value must be|value has an invalid|has too"
    "|already exists|is invalid|was unexpected|were unexpected"
)
_DATE = compiled(r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}")
_MOST_STATEMENTS = 8


def hide(text: str, mark: str) -> str:
    """Return `text` without the values that databases and validators quote."""
    wholes, contained, bare = _wholes(), _contained(), _bare()
    for whole in wholes:
        text = whole.sub(lambda at: at[1] + mark + at[2], text)
    if "input_value=" in text:
        text = contained.sub(_unless(_trivial, mark), text)
    if "'" in text or '"' in text or "“" in text:
        before, after = _quoted()
        text = before.sub(_unless(_trivial, mark), text)
        text = after.sub(_unless(lambda value: not unlike_words(value), mark), text)
    return bare.sub(_unless(_trivial, mark), text)


def _trivial(value: str) -> bool:
    plain = value.strip("'\"")
    return (
        EVERYDAY.fullmatch(plain) is not None
        or _DATE.fullmatch(plain) is not None
        or plain.startswith("[redacted")
    )


def _unless(
    harmless: Callable[[str], bool], mark: str
) -> Callable[[re.Match[str]], str]:
    return lambda at: at[0] if harmless(at["v"]) else replaced(at, mark)


@cache
def _wholes() -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(whole, re.MULTILINE) for whole in _WHOLES)


@cache
def _quoted() -> tuple[re.Pattern[str], re.Pattern[str]]:
    before = "|".join(_BEFORE_QUOTED)
    return (
        re.compile(rf"(?P<open>{before})b?{QUOTED}", re.IGNORECASE),
        re.compile(rf"(?P<open>(?<!name )){QUOTED}(?= (?:{_AFTER})| doesn't\))"),
    )


@cache
def _contained() -> re.Pattern[str]:
    return re.compile(
        r"(?P<open>\binput_value=)(?P<q>)(?P<v>[^\n]{1,4096}?)(?=, input_type=)"
    )


@cache
def _bare() -> re.Pattern[str]:
    before = "|".join(opening.replace("()", "") for opening in _BEFORE_BARE)
    return re.compile(rf"(?P<open>{before})(?P<q>)(?P<v>[^\s\"',;)\]]{{1,1024}})")


def statement(text: str, mark: str) -> str:
    """Return an SQL statement without its literals.

    Args:
        text: Of which it is known that it is SQL.
        mark: What stands for a literal.
    """
    return _literals().sub(f"'{mark}'", text)


def statements(text: str, mark: str) -> str:
    """Return `text` without the literals of the SQL in it, everyday words apart."""
    for start in islice(_statements().finditer(text), _MOST_STATEMENTS):
        if start["reads"] is None or _reads(text, start.end()):
            break
    else:
        return text
    writes = start["reads"] is None

    def literal(at: re.Match[str]) -> str:
        value = at[1] if at[1] is not None else at[2]
        if value == mark or (not writes and EVERYDAY.fullmatch(value)):
            return at[0]
        return f"'{mark}'" if at[1] is not None else f"$${mark}$$"

    def doubled(at: re.Match[str]) -> str:
        # In MySQL a literal, in other databases the name of a column.
        return at[0] if EVERYDAY.fullmatch(at[2]) else f'{at[1]}"{mark}"'

    rest = _literals().sub(literal, text[start.start() :])
    if '"' in rest:
        rest = _doubled().sub(doubled, rest)
    return text[: start.start()] + rest


def _reads(text: str, at: int) -> bool:
    """Return whether what follows SELECT is SQL and no sentence."""
    rest = text[at : at + 4096].lower()
    return " from " in rest or " as " in rest or " where " in rest


@cache
def _literals() -> re.Pattern[str]:
    return re.compile(
        r"'((?:[^'\\]|''|\\.){0,4096})'|\$\$((?:[^$]){1,4096})\$\$", re.DOTALL
    )


@cache
def _doubled() -> re.Pattern[str]:
    return re.compile(
        r"((?:[=(,]|\bLIKE|\blike)\s{0,2})\"((?=[^\"\n]{0,4096}[\d@ !#$%])"
        r"[^\"\\\n]{1,4096})\"(?=\s{0,2}(?:[,);\"']|$|\s\w))(?!\s{0,2}\.)",
        re.MULTILINE,
    )


@cache
def _statements() -> re.Pattern[str]:
    table = r"[\"'`\w.\[\]]{1,128}"
    return re.compile(
        rf"\b(?:(?:INSERT|REPLACE|MERGE)\s{{1,4}}INTO\b|UPDATE\s{{1,4}}{table}\s{{1,4}}SET\b"
        r"|(?:CREATE|ALTER)\s{1,4}(?:USER|ROLE)\b"
        r"|IDENTIFIED\s{1,4}(?:BY|WITH)\b|SET\s{1,4}PASSWORD\b"
        r"|(?-i:CALL [\w.]{1,128}\(|EXEC(?:UTE)? [\w.]{1,128}\s{1,4}[N'@])"
        r"|(?P<reads>SELECT\b|DELETE\s{1,4}FROM\b))",
        re.IGNORECASE,
    )
