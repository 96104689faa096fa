"""Go's ways of writing values: `strconv.Quote`, `%v`, and `fmt.Sprintf`.

Group keys and template results are compared as text with the real servers', which are
written in Go, so the spelling of a float or of a quoted string is part of the format.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_ESCAPES = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
    '"': '\\"',
}
_DIRECTIVE = re.compile(r"%([+\-# 0]*)(\d+)?(?:\.(\d*))?(.?)", re.DOTALL)


def quote(text: str) -> str:
    """Return `text` as Go's ``%q`` writes it."""
    parts = ['"']
    for char in text:
        if char in _ESCAPES:
            parts.append(_ESCAPES[char])
        elif char.isprintable():
            parts.append(char)
        elif ord(char) < 0x80:
            parts.append(f"\\x{ord(char):02x}")
        elif ord(char) < 0x10000:
            parts.append(f"\\u{ord(char):04x}")
        else:
            parts.append(f"\\U{ord(char):08x}")
    return "".join([*parts, '"'])


def float_text(value: float) -> str:
    """Return a float64 as Go's ``%v`` does: ``1e+06``, ``0.25``, ``+Inf``."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    sign = "-" if math.copysign(1.0, value) < 0 else ""
    if value == 0:
        return sign + "0"
    _, digits, exponent = Decimal(repr(abs(value))).as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    assert isinstance(exponent, int)  # noqa: S101 - a finite number's exponent is one
    point = len(text) + exponent
    text = text.rstrip("0")
    if point - 1 < -4 or point - 1 >= 6:  # strconv: as if the precision were 6
        rest = f".{text[1:]}" if len(text) > 1 else ""
        power = point - 1
        return f"{sign}{text[0]}{rest}e{'-' if power < 0 else '+'}{abs(power):02d}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{text}"
    digits_before = text[:point].ljust(point, "0")
    return sign + digits_before + (f".{text[point:]}" if len(text) > point else "")


def type_name(value: Any) -> str:  # noqa: PLR0911 - one per type
    """Return the Go type that a template's value has."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "float64"
        case str():
            return "string"
        case dict():
            return "map[string]string"
        case list():
            return "template.queryResult"
        case _:
            return "*template.sample"


def plain(value: Any) -> str:
    """Return a value as ``%v`` writes it."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case float():
            return float_text(value)
        case dict():
            inner = " ".join(f"{key}:{plain(value[key])}" for key in sorted(value))
            return f"map[{inner}]"
        case list():
            return f"[{' '.join(map(plain, value))}]"
        case _:
            return str(value)


def _float(verb: str, value: float, precision: int | None, flags: str) -> str | None:
    plus = "+" if "+" in flags else " " if " " in flags else ""
    if not math.isfinite(value):
        text = float_text(value)
        return text if plus or text != "+Inf" else "+Inf"
    if verb in "gG" and precision is None:
        text = float_text(value)
        text = plus + text if value >= 0 else text
        return text.upper() if verb == "G" else text
    if verb == "v":
        text = (
            float_text(value) if precision is None else format(value, f".{precision}g")
        )
        return plus + text if value >= 0 else text
    if verb in "eEfFgG":
        return format(value, f"{plus}.{6 if precision is None else precision}{verb}")
    return None


def _integer(verb: str, value: int, flags: str) -> str | None:
    plus = "+" if "+" in flags else " " if " " in flags else ""
    sharp = "#" if "#" in flags else ""
    if verb in "dv":
        return format(value, f"{plus}d")
    if verb in "xXob":
        return format(value, f"{plus}{sharp}{verb}")
    if verb == "c":
        return chr(value)
    if verb == "q":
        return f"'{chr(value)}'"
    return None


def _string(verb: str, value: str, precision: int | None) -> str | None:
    cut = value if precision is None else value[:precision]
    if verb in "sv":
        return cut
    if verb == "q":
        return quote(cut)
    if verb in "xX":
        text = cut.encode().hex()
        return text if verb == "x" else text.upper()
    return None


def _formatted(verb: str, value: Any, precision: int | None, flags: str) -> str:
    """Return one value under one verb; a wrong verb is marked in the text, as in Go."""
    text: str | None = None
    match value:
        case None:
            return "<nil>" if verb == "v" else f"%!{verb}(<nil>)"
        case bool():
            text = plain(value) if verb in "tv" else None
        case int():
            text = _integer(verb, value, flags)
        case float():
            text = _float(verb, value, precision, flags)
        case str():
            text = _string(verb, value, precision)
        case dict():
            inner = " ".join(
                f"{_formatted(verb, key, precision, flags)}:"
                f"{_formatted(verb, value[key], precision, flags)}"
                for key in sorted(value)
            )
            return f"map[{inner}]"
        case list():
            return f"[{' '.join(_formatted(verb, v, precision, flags) for v in value)}]"
        case _:
            return "&" + str(value)
    if verb == "T":
        return type_name(value)
    return f"%!{verb}({type_name(value)}={plain(value)})" if text is None else text


def sprintf(template: str, values: Sequence[Any]) -> str:
    """Return what Go's `fmt.Sprintf` gives, for the verbs and types of templates."""
    used = 0

    def directive(match: re.Match[str]) -> str:
        nonlocal used
        flags, width, precision, verb = match.groups()
        if verb == "%":
            return "%"
        if not verb:
            return "%!(NOVERB)"
        if used >= len(values):
            return f"%!{verb}(MISSING)"
        value = values[used]
        used += 1
        if verb == "v":
            flags = flags.replace("+", "")  # asks for field names there, not a sign
        digits = None if precision is None else int(precision or 0)
        text = _formatted(verb, value, digits, flags)
        return _padded(text, int(width or 0), flags, value)

    text = _DIRECTIVE.sub(directive, template)
    if used < len(values):
        extra = ", ".join(f"{type_name(v)}={plain(v)}" for v in values[used:])
        text += f"%!(EXTRA {extra})"
    return text


def _padded(text: str, width: int, flags: str, value: Any) -> str:
    if "-" in flags:
        return text.ljust(width)
    if "0" in flags:
        if isinstance(value, int | float) and not isinstance(value, bool):
            finite = not isinstance(value, float) or math.isfinite(value)
            return text.zfill(width) if finite else text.rjust(width)
        return text.rjust(width, "0")
    return text.rjust(width)


def quote_meta(text: str) -> str:
    """Return `text` with the characters that mean something in a regexp escaped."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", text)
