"""Where secrets are in texts that programs write: markup, pairs, commands, paths.

Patterns are compiled when a text first needs them: most processes never do.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from watchroom.redact.patterns import compiled

if TYPE_CHECKING:
    from collections.abc import Callable

    # Whether a value is hidden, given what it is called.
    Hides = Callable[[str, str], bool]

# “Curly” ones are Django's.
QUOTED = (
    r"(?P<q>(?<!\\)\\{0,15}[\"'`]|(?P<curly>“))"
    r"(?P<v>(?:(?!(?(curly)[“”]|(?P=q)))(?:\\.|[^\\\n])){0,4096})(?(curly)”|(?P=q))"
)

# Program and the option before a secret: their manuals.
_COMMANDS = (
    (r"mysql\w{0,16}|mariadb[\w-]{0,16}", r"-p(?=[^\s\"',]|[\"'][^\s\"',\]])"),
    (r"sshpass", r"-p ?"),
    (r"(?:az|twine|poetry) (?:login|upload|publish)", r"-p "),
    (r"useradd|usermod", r"-p "),
    (r"openssl enc", r"-k "),
    (r"redis-cli|valkey-cli|redis-benchmark", r"(?:-a|--pass) "),
    (r"ldap\w{1,16}", r"-w "),
    (r"(?:docker|podman|skopeo|oc|buildah|helm registry) login", r"-p "),
    (
        r"curl|wget|https?|xh",
        r"(?:-[uUa]|--(?:proxy-)?(?:user|auth))[\s=\"',]{0,4}[^\s:/\"']{0,128}:",
    ),
    (r"smbclient|rpcclient|net", r"-U ?[^\s%]{1,128}%"),
    (r"zip|7z\w?|rar", r"-[pP] ?(?=\S)"),
    (r"mongo\w{0,16}", r"-p "),
    (r"openssl", r"-?pass(?:in|out)?[\s=\"',]{1,4}pass:"),
    (r"htpasswd", r"-\w{0,8}b\w{0,8} \S{1,256} \S{1,128} "),
)
EVERYDAY = compiled(r"[A-Za-z]?[a-z]{0,15}|\d{1,5}|\d{1,4} [a-z]{1,8}")
_DIGIT_AND_LETTER = compiled(r"(?=.*\d)(?=.*[A-Za-z])", re.DOTALL)
_TAME_FORM = compiled(
    r"\d{4}-\d\d-\d\d.{0,24}|v?\d{1,4}(?:\.\d{1,4}){1,3}[\w.+-]{0,16}|[\d.]{1,8}[a-z]{1,3}"
)
_WORDY = compiled(r"[A-Za-z]{1,24}\d{0,4}|\d{1,12}")


def unlike_words(value: str, least: int = 6) -> bool:
    """Return whether a text looks like a secret by itself: letters and digits mixed."""
    return (
        len(value) >= least
        and _DIGIT_AND_LETTER.match(value) is not None
        and _TAME_FORM.fullmatch(value) is None
    )


def replaced(at: re.Match[str], mark: str) -> str:
    """Return what was found with the mark for its value, quoted as it was."""
    quote = at["q"] or ""
    return f"{at['open']}{quote}{mark}{'”' if quote == '“' else quote}"


def encoded(text: str, hides: Hides, mark: str) -> str:
    """Return `text` without secrets whose quotes or signs are encoded.

    As in HTML, in addresses (``password%3Dx``), or by their numbers.
    """
    return _encoded().sub(
        lambda at: at["open"] + mark if hides(at["name"], at["v"]) else at[0], text
    )


@cache
def _encoded() -> re.Pattern[str]:
    quote = (
        r"(?:&quot;|&apos;|&#0?3[49];|&#x2[27];|\\{1,4}u002[27]|\\{1,4}x2[27]|%2[27])"
    )
    blank = r"(?:\s|%20|\+){0,2}"
    return re.compile(
        r"(?P<open>(?:(?<![A-Za-z0-9_])|(?<=%[0-9A-Fa-f]{2})|(?<=u002[27])|(?<=x2[27]))"
        rf"(?P<name>[A-Za-z][\w.-]{{1,63}})(?:{quote}{blank}(?:[:=]|%3[ADad]){blank}{quote}?"
        rf"|{blank}%3[ADad]{blank}{quote}?))"
        r"(?P<v>(?:(?!&quot;|&apos;|&#|\\{1,4}[ux]|%2[267]|%7[Dd])[^\s&;\"'<>]){1,1024})"
    )


def markup(text: str, hides: Hides, mark: str) -> str:
    """Return `text` without the secrets that are the content of tags."""

    def content(at: re.Match[str]) -> str:
        if not hides(at["name"], at["value"].strip()):
            return at[0]
        return at["open"] + mark

    for pattern in _markup():
        text = pattern.sub(content, text)
    return text


@cache
def _markup() -> tuple[re.Pattern[str], ...]:
    less, more = r"(?:<|&lt;)", r"(?:>|&gt;)"
    value = (
        rf"{more}(?:<!\[CDATA\[)?)"
        rf"(?P<value>(?:(?!{less}|\]\]>)[^<]){{1,4096}})(?=(?:\]\]>)?{less}/)"
    )
    kinds = (
        (
            rf"(?P<open>{less}(?:[\w-]{{1,32}}:)?(?P<name>[\w.-]{{1,64}})"
            r"(?:\s[^<>&]{0,256})?"
        ),
        # Android's resources, and property lists
        (
            rf"(?P<open>{less}\w{{1,32}}\s[^<>&]{{0,64}}?\bname="
            r"[\"'](?P<name>[\w.-]{1,64})[\"'][^<>&]{0,64}"
        ),
        (
            rf"(?P<open>{less}key{more}(?P<name>[\w .-]{{1,64}}){less}/key{more}"
            rf"\s{{0,16}}{less}\w{{1,16}}"
        ),
    )
    return tuple(re.compile(kind + value) for kind in kinds)


def pairs(text: str, hides: Hides, mark: str) -> str:
    """Return `text` without the values of ``("name", "value")`` and its like."""

    def value(at: re.Match[str]) -> str:
        quoted = at["v"] if at["v"] is not None else at["bare"]
        if not hides(at["name"], quoted) or _listed(at, quoted, hides):
            return at[0]
        return at["open"] + mark + (at["q"] or "")

    for pattern in _pairs():
        text = pattern.sub(value, text)
    return text


def _listed(at: re.Match[str], value: str, hides: Hides) -> bool:
    """Return whether this is a list of names, not a name and its value."""
    if at["open"][:1] not in "([," or not re.fullmatch("[a-z_]{1,32}", value):
        return False
    return at.string[at.end() : at.end() + 1] == "," or hides(value, "a value")


@cache
def _pairs() -> tuple[re.Pattern[str], ...]:
    name_pattern = r"b?(?P<n>\\{0,3}[\"'])(?P<name>-{0,2}[A-Za-z_][\w .-]{0,63})(?P=n)"
    colon = r"\\{0,3}[\"']\s{0,2}:\s{0,2}\\{0,3}"
    kinds = (
        rf"(?P<open>[(\[]\s{{0,4}}{name_pattern}\s{{0,2}},\s{{0,4}}",
        rf"(?P<open>,\s{{0,4}}(?=b?[\"']--?\w){name_pattern}\s{{0,2}},\s{{0,4}}",
        rf"(?P<open>\b(?:name|key)\s?=\s?{name_pattern}\s{{1,4}}value\s?=\s?",
        # Between the name and the value there may be a type.
        (
            rf"(?P<open>[\"'](?i:name|key|field|header|variable){colon}"
            rf"{name_pattern}\s{{0,2}},\s{{0,4}}(?:\\{{0,3}}[\"']\w{{1,32}}{colon}"
            r"[\"']?[\w./ -]{0,64}\\{0,3}[\"']?\s?,\s{0,4})"
            rf"{{0,2}}\\{{0,3}}[\"'](?i:value){colon}"
        ),
        (
            r"(?P<open>\b(?:name|key):\s?(?P<n>[\"']?)(?P<name>[A-Za-z_][\w.-]{0,63})(?P=n)"
            r"(?:,\s?|\n\s{1,32})value:\s?"
        ),
        # A function that sets or tests a secret
        (
            r"(?P<open>(?<!\w)(?P<name>(?:(?:set|check|verify|make|hash|change|update|reset)_)"
            r"(?:password|passphrase|passcode|secret|token|pin)|password|[Ss]ecret[Ss]tr)\(\s?"
        ),
    )
    # The first quote belongs to what is kept.
    quoted = (
        r"b?(?P<q>\\{0,3}[\"']))(?P<v>(?:(?!(?P=q))(?:\\.|[^\\])){0,4096})"
        r"(?P=q)(?P<bare>)"
    )
    bare = r")(?P<q>)(?P<v>(?!))?(?P<bare>[^\s\"',)\]}\\\[]{1,256})"
    first = (
        r"(?P<open>[\"']value[\"']\s?:\s?b?(?P<q>[\"']))(?P<v>(?:(?!(?P=q))(?:\\.|[^\\]))"
        r"{0,4096})(?P=q)(?P<bare>)(?=\s?,\s{0,4}[\"'](?:name|key)[\"']\s?:\s?"
        r"[\"'](?P<name>[\w.-]{1,64}))"
    )
    patterns = [re.compile(kind + rest) for kind in kinds for rest in (quoted, bare)]
    return (*patterns[:-1], re.compile(first, re.IGNORECASE))


def commands(text: str, hides: Hides, mark: str) -> str:
    """Return `text` without what options of commands give away."""

    def option(at: re.Match[str]) -> str:
        value = at["v"] if at["v"] is not None else at["bare"]
        plain_set = at["open"].startswith("set ") and EVERYDAY.fullmatch(value)
        if plain_set or not hides(at["name"], value):
            return at[0]
        return replaced(at, mark)

    long, command_patterns = _commands()
    text = long.sub(option, text)
    for command in command_patterns:
        text = command.sub(
            lambda at: at[0] if at["v"][:1] == "$" else at[1] + mark, text
        )
    return text


@cache
def _commands() -> tuple[re.Pattern[str], tuple[re.Pattern[str], ...]]:
    long = re.compile(
        r"(?P<open>(?:(?<![\w-])--?|\bset )(?P<name>[A-Za-z][\w-]{2,63})[ \t]{1,4})"
        rf"(?:{QUOTED}|(?P<bare>[^\s\"'\-=:\[,;)][^\s\"',;)]{{0,1024}}))"
    )
    # The words of a command may be those of a list.
    listed = r"[\s\"',]{1,4}"
    value = r"(?P<v>(?<=[\"'])[^\"'\n]{1,1024}|[^\s\"']{1,1024})"
    return long, tuple(
        re.compile(
            rf"(\b(?:{program.replace(' ', listed)})\b[^\n|;]{{0,256}}?[\s\"']"
            rf"{option.replace(' ?', listed.replace('1', '0')).replace(' ', listed)}"
            rf"[\"']?)(?!\[redacted\]){value}"
        )
        for program, option in _COMMANDS
    )


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
