"""Where secrets are in texts that programs write: markup, commands, errors, statements.

Patterns are compiled when a text first needs them: most processes never do.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING

from watchroom.redact.names import spoken

if TYPE_CHECKING:
    from collections.abc import Callable

    # Whether a value is hidden, given what it is called.
    Hides = Callable[[str, str], bool]

_QUOTED = r"(?P<q>\\{0,3}[\"'`])(?P<v>(?:(?!(?P=q))(?:\\.|[^\\\n])){0,4096})(?P=q)"

# Program and the option before a secret: their manuals.
_COMMANDS = (
    (r"mysql\w{0,16}|mariadb[\w-]{0,16}", r"-p(?=\S)"),
    (r"sshpass", r"-p ?"),
    (r"redis-cli|valkey-cli|redis-benchmark", r"(?:-a|--pass) "),
    (r"ldap\w{1,16}", r"-w "),
    (r"(?:docker|podman|skopeo|oc|buildah|helm registry) login", r"-p "),
    (
        r"curl|wget|https?|xh",
        r"(?:-[uUa]|--(?:proxy-)?(?:user|auth))[ =]?[\"']?[^\s:/]{0,128}:",
    ),
    (r"smbclient|rpcclient|net", r"-U ?[^\s%]{1,128}%"),
    (r"zip|7z\w?|rar", r"-[pP] ?(?=\S)"),
    (r"mongo\w{0,16}", r"-p "),
    (r"openssl", r"-?pass(?:in|out)?[ =]pass:"),
    (r"htpasswd", r"-\w{0,8}b\w{0,8} \S{1,256} \S{1,128} "),
)
# What programs say before a value that they could not take.
_BEFORE_VALUE = (
    r"invalid literal for int\(\) with base \d{1,2}: ",
    r"could not convert string to (?:float|complex): ",
    r"(?:Invalid isoformat string|malformed node or string[^:]{0,32}): ",
    r"time data (?=.{1,512}does not match)",
    r"invalid input (?:syntax for|value for)[^:\n]{1,64}: ",
    r"(?:date/time|numeric) field value out of range: ",
    r"malformed array literal: ",
    r"(?:Incorrect|Truncated incorrect)[\w() ]{1,32} value: ",
    r"value (?=.{1,512}is out of range for type)",
    r"\binput_value=",
)
_MOST_STATEMENTS = 8
_EVERYDAY = re.compile(r"[A-Za-z]?[a-z]{0,15}|\d{1,5}")
_DIGIT_AND_LETTER = re.compile(r"(?=.*\d)(?=.*[A-Za-z])", re.DOTALL)
_TAME_FORM = re.compile(
    r"\d{4}-\d\d-\d\d.{0,24}|v?\d{1,4}(?:\.\d{1,4}){1,3}[\w.+-]{0,16}|[\d.]{1,8}[a-z]{1,3}"
)
_WORDY = re.compile(r"[A-Za-z]{1,24}\d{0,4}|\d{1,12}")
# Words that follow a password in a sentence.
_STOP = frozenset(
    (
        *(
            "a",
            "accepted",
            "after",
            "again",
            "and",
            "as",
            "at",
            "before",
            "by",
            "dbname",
        ),
        *(
            "expired",
            "failed",
            "failure",
            "for",
            "from",
            "has",
            "host",
            "in",
            "instead",
        ),
        *("into", "invalid", "is", "not", "of", "ok", "on", "or", "port", "rejected"),
        *("sent", "set", "so", "sslmode", "that", "the", "then", "this", "to", "user"),
        *("via", "was", "when", "which", "with"),
    )
)
_MORE_DIGITS = re.compile(r"(?:[ ()/.-]{1,2}\d{1,14}){1,8}(?![\w=:])")
_WORD = re.compile(r"[ \t]{1,2}([^\s,;&)}\]\"'<>|=:\[]{1,64})(?=[\s,;.&)}\]\"'<>|]|$)")


def unlike_words(value: str, least: int = 6) -> bool:
    """Return whether a text looks like a secret by itself: letters and digits mixed."""
    return (
        len(value) >= least
        and _DIGIT_AND_LETTER.match(value) is not None
        and _TAME_FORM.fullmatch(value) is None
    )


def markup(text: str, hides: Hides, mark: str) -> str:
    """Return `text` without the secrets that are the content of tags."""

    def content(at: re.Match[str]) -> str:
        if not hides(at["name"], at["value"].strip()):
            return at[0]
        return at["open"] + mark

    return _markup().sub(content, text)


@cache
def _markup() -> re.Pattern[str]:
    less, more = r"(?:<|&lt;)", r"(?:>|&gt;)"
    return re.compile(
        rf"(?P<open>{less}(?:[\w-]{{1,32}}:)?(?P<name>[\w.-]{{1,64}})"
        rf"(?:\s[^<>&]{{0,256}})?{more}(?:<!\[CDATA\[)?)"
        rf"(?P<value>(?:(?!{less}|\]\]>)[^<]){{1,4096}})(?=(?:\]\]>)?{less}/)"
    )


def pairs(text: str, hides: Hides, mark: str) -> str:
    """Return `text` without the values of ``("name", "value")`` and its like."""

    def value(at: re.Match[str]) -> str:
        said = at["v"] if at["v"] is not None else at["bare"]
        if not hides(at["name"], said):
            return at[0]
        return at["open"] + mark + (at["q"] or "")

    for pattern in _pairs():
        text = pattern.sub(value, text)
    return text


@cache
def _pairs() -> tuple[re.Pattern[str], ...]:
    named = r"b?(?P<n>\\{0,3}[\"'])(?P<name>-{0,2}[A-Za-z_][\w .-]{0,63})(?P=n)"
    colon = r"\\{0,3}[\"']\s{0,2}:\s{0,2}\\{0,3}"
    kinds = (
        rf"(?P<open>[(\[]\s{{0,4}}{named}\s{{0,2}},\s{{0,4}}",
        rf"(?P<open>,\s{{0,4}}(?=b?[\"']--?\w){named}\s{{0,2}},\s{{0,4}}",
        rf"(?P<open>\b(?:name|key)\s?=\s?{named}\s{{1,4}}value\s?=\s?",
        (
            rf"(?P<open>[\"'](?:name|key|field|header|variable){colon}"
            rf"{named}\s{{0,2}},\s{{0,2}}\\{{0,3}}[\"']value{colon}"
        ),
    )
    # The first quote belongs to what is kept.
    quoted = (
        r"b?(?P<q>\\{0,3}[\"']))(?P<v>(?:(?!(?P=q))(?:\\.|[^\\])){0,4096})"
        r"(?P=q)(?P<bare>)"
    )
    bare = r")(?P<q>)(?P<v>(?!))?(?P<bare>[^\s\"',)\]}\\\[]{1,256})"
    return tuple(re.compile(kind + rest) for kind in kinds for rest in (quoted, bare))


def commands(text: str, hides: Hides, mark: str) -> str:
    """Return `text` without what options of commands give away."""

    def option(at: re.Match[str]) -> str:
        value = at["v"] if at["v"] is not None else at["bare"]
        if not hides(at["name"], value):
            return at[0]
        quote = at["q"] or ""
        return f"{at['open']}{quote}{mark}{quote}"

    long, known = _commands()
    text = long.sub(option, text)
    for one in known:
        text = one.sub(lambda at: at[1] + mark, text)
    return text


@cache
def _commands() -> tuple[re.Pattern[str], tuple[re.Pattern[str], ...]]:
    long = re.compile(
        r"(?P<open>(?:(?<![\w-])--?|\bset )(?P<name>[A-Za-z][\w-]{2,63})[ \t]{1,4})"
        rf"(?:{_QUOTED}|(?P<bare>[^\s\"'\-=:\[,;)][^\s\"',;)]{{0,1024}}))"
    )
    return long, tuple(
        re.compile(
            rf"(\b(?:{program})\b[^\n|;]{{0,256}}?\s{option})(?!\[redacted\])[^\s]{{1,1024}}"
        )
        for program, option in _COMMANDS
    )


def errors(text: str, mark: str) -> str:
    """Return `text` without the values that databases and validators quote."""
    wholes, before, after = _errors()
    for whole in wholes:
        text = whole.sub(lambda at: at[1] + mark + at[2], text)
    text = before.sub(_unless(_trivial, mark), text)
    return after.sub(_unless(lambda value: not unlike_words(value), mark), text)


def _trivial(value: str) -> bool:
    return _EVERYDAY.fullmatch(value) is not None or value.startswith("[redacted]")


def _unless(kept: Callable[[str], bool], mark: str) -> Callable[[re.Match[str]], str]:
    def replaced(at: re.Match[str]) -> str:
        if kept(at["v"]):
            return at[0]
        return f"{at['open']}{at['q']}{mark}{at['q']}"

    return replaced


@cache
def _errors() -> tuple[tuple[re.Pattern[str], ...], re.Pattern[str], re.Pattern[str]]:
    wholes = (
        r"(Failing row contains \()%s{1,8192}(\))",
        r"(The duplicate key value is \()%s{1,4096}?(\))",
        r"(dup key: \{)%s{1,4096}?(\})",
        r"(Duplicate entry ')%s{1,4096}?(' for key)",
        r"(\[parameters: )%s{1,8192}(\])",
        r"(; (?:args|params)=)%s{1,8192}?((?=; alias=)|$)",
        r"(COPY [^\n]{1,128}line \d{1,12}[^:\n]{0,80}: \")%s{1,4096}(\")",
    )
    body = r"(?!\[redacted\])[^\n]"
    before = "|".join(_BEFORE_VALUE)
    return (
        tuple(re.compile(whole % body, re.MULTILINE) for whole in wholes),
        re.compile(rf"(?P<open>{before})b?{_QUOTED}", re.IGNORECASE),
        re.compile(
            rf"(?P<open>(?<!name )){_QUOTED}(?= (?:is not (?:a valid|of type|one of"
            r"|valid|in |allowed)|does not match|is too (?:short|long)|value must be"
            r"|has too|already exists|is invalid))"
        ),
    )


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
        value = at[1]
        if value == mark or (not writes and _EVERYDAY.fullmatch(value)):
            return at[0]
        return f"'{mark}'"

    return text[: start.start()] + _literals().sub(literal, text[start.start() :])


def _reads(text: str, at: int) -> bool:
    """Return whether what follows SELECT is SQL and no sentence."""
    rest = text[at : at + 4096].lower()
    return " from " in rest or " as " in rest or " where " in rest


@cache
def _literals() -> re.Pattern[str]:
    return re.compile(r"'((?:[^'\\]|''|\\.){0,4096})'", re.DOTALL)


@cache
def _statements() -> re.Pattern[str]:
    table = r"[\"'`\w.\[\]]{1,128}"
    return re.compile(
        rf"\b(?:INSERT\s{{1,4}}INTO\b|UPDATE\s{{1,4}}{table}\s{{1,4}}SET\b"
        r"|(?:CREATE|ALTER)\s{1,4}(?:USER|ROLE)\b|IDENTIFIED\s{1,4}(?:BY|WITH)\b"
        r"|(?P<reads>SELECT\b|DELETE\s{1,4}FROM\b))",
        re.IGNORECASE,
    )


def sentences(text: str, mark: str) -> str:
    """Return `text` without the secrets that it tells in words: "the password is x"."""

    def told(at: re.Match[str]) -> str:
        value = at["v"] if at["v"] is not None else at["bare"].rstrip(".!?")
        short = at["name"].lower()[:3] in {"pin", "otp", "one", "cvv", "cvc"}
        if short and not re.fullmatch(r"[\d-]{3,10}", value):
            return at[0]
        quoted = at["v"] is not None and _EVERYDAY.fullmatch(value) is None
        if not short and not (quoted or unlike_words(value) or _odd(value)):
            return at[0]
        tail = "" if at["v"] is not None else at["bare"][len(value) :]
        quote = at["q"] or ""
        return f"{at['open']}{quote}{mark}{quote}{tail}"

    said, beside = _sentences()
    text = said.sub(told, text)
    return beside.sub(
        lambda at: (
            at["open"] + mark
            if unlike_words(at["bare"], 8) and re.search("[a-z]", at["bare"])
            else at[0]
        ),
        text,
    )


def _odd(value: str) -> bool:
    """Return whether a text has signs in the middle that words have not."""
    return len(value) >= 6 and re.search(r"\w[!#$%&*+@^~]+\w", value) is not None


@cache
def _sentences() -> tuple[re.Pattern[str], ...]:
    name = rf"\b(?P<name>{spoken()})\b[\"'`]?"
    return (
        re.compile(
            rf"(?P<open>{name}(?:\s(?:for|of)\s[^\s:=]{{1,64}})?"
            r"(?:\s{1,2}(?:(?:is|was|are|has been|will be)(?:\s(?:now|(?:re)?set to"
            r"|changed to))?|now|(?:re)?set to|changed to|became|equals|->|=>)\s{1,2}"
            r"|\s{0,2}[:=]\s{0,2}))"
            rf"(?:{_QUOTED}|(?P<bare>[^\s\"'`\[,;)]{{3,512}}))",
            re.IGNORECASE,
        ),
        re.compile(
            r"(?P<open>\b(?:password|passphrase|passwd|passwort)\s)"
            r"(?P<bare>[^\s\"'`\[,;:=)]{8,512})",
            re.IGNORECASE,
        ),
    )


def number(text: str, start: int, end: int) -> int:
    """Return where a number ends that has blanks in it, such as a telephone's."""
    if not text[end - 1 : end].isdecimal() or text[start:end].strip("+0123456789()"):
        return end
    more = _MORE_DIGITS.match(text, end)
    return end if more is None else more.end()


def tail(text: str, end: int) -> int:
    """Return where a password that began before `end` may end: it may have blanks."""
    for _ in range(8):
        word = _WORD.match(text, end)
        if word is None or word[1].lower() in _STOP or word[1].startswith("-"):
            break
        end = word.end()
    return end


def path(text: str, mark: str) -> str:
    """Return the path of an address that leads nowhere, its unusual parts hidden."""
    parts = text.split("/")
    return "/".join(mark if _secretive(part) else part for part in parts)


def _secretive(part: str) -> bool:
    if len(part) < 8 or _WORDY.fullmatch(part):
        return (
            len(part) >= 16 and re.search(r"[a-z][A-Z].*[a-z][A-Z]", part) is not None
        )
    if len(part) > 64:
        return True
    if all(_WORDY.fullmatch(word) for word in re.split(r"[-_.]+", part) if word):
        return False
    return _DIGIT_AND_LETTER.match(part) is not None
