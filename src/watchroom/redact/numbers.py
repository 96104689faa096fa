"""Numbers that are secret by what they are: cards, bank accounts, social security.

Cards are recognised by their issuer's first digits and Luhn's sum (ISO/IEC 7812),
accounts by the length of their country and the remainder of 97 (ISO 13616), so that
ids, timestamps and codes of goods stay.
"""

from __future__ import annotations

import re
from functools import cache

# First digits and lengths, by issuer, as the schemes publish them. Visa's 13 digits
# have not been issued for decades, and are the EANs of German goods.
_ISSUERS = (
    ("4", (16, 19)),  # Visa
    ("5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720", (16,)),  # Mastercard
    ("3[47]", (15,)),  # American Express
    ("6011|64[4-9]|65", (16, 19)),  # Discover
    ("30[0-5]|3095|36|3[89]", (14,)),  # Diners Club
    ("35(?:2[89]|[3-8])", (16, 19)),  # JCB
    ("62|81", (16, 17, 18, 19)),  # UnionPay
    ("50(?:18|20|38)|5893|6304|67(?:59|6[1-3])", (13, 14, 15, 16, 18, 19)),  # Maestro
    ("220[0-4]", (16, 19)),  # Mir
)
# Letters and digits of an account, by country: SWIFT's registry of IBANs.
_IBANS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 "
    "DE22 DJ27 DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 "
    "GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 "
    "LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 "
    "PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 "
    "SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30"
)
_IBAN_MOST = 70
_PARTS = " .\t\u00a0\u2007\u2009\u202f-"


@cache
def _cards() -> re.Pattern[str]:
    part = "[ .\\-\t\u00a0\u2007\u2009\u202f\u2010-\u2014/_]{1,3}"
    return re.compile(
        # Not the digits of a fraction, nor of a longer word or number.
        # On the first track of a card it is after %B.
        rf"(?:(?<![\w-])|(?<=%B))(?<!\d\.)(?:[2-68]\d{{12,18}}"
        rf"|[2-68]\d{{3}}({part})\d{{4}}(?:\1\d{{2,7}}){{1,3}}"
        rf"|3\d{{3}}({part})\d{{6}}\2\d{{4,5}})(?![\w-]|\.(?!0(?!\d))\d)"
    )


@cache
def _issuers() -> tuple[tuple[re.Pattern[str], tuple[int, ...]], ...]:
    return tuple((re.compile(first), lengths) for first, lengths in _ISSUERS)


@cache
def _ibans() -> tuple[re.Pattern[str], dict[str, int]]:
    start = re.compile(
        rf"(?:(?<!\w)|(?<=IBAN))[A-Za-z]{{2}}\d\d(?=[{_PARTS}]?[A-Za-z0-9])"
    )
    return start, {country[:2]: int(country[2:]) for country in _IBANS.split()}


@cache
def _social() -> re.Pattern[str]:
    # What the Social Security Administration assigns.
    area = r"(?!000|666|9\d\d)\d{3}"
    return re.compile(rf"(?<![\w-]){area}-(?!00)\d\d-(?!0000)\d{{4}}(?![\w-])")


def card(digits: str) -> bool:
    """Return whether these digits (and what parts them) may be a card's number.

    Args:
        digits: Other signs are passed over.
    """
    numbers = [int(digit) for digit in digits if digit.isdecimal()]
    plain = "".join(map(str, numbers))
    if not any(
        len(numbers) in lengths and first.match(plain) for first, lengths in _issuers()
    ):
        return False
    twice = [2 * digit - 9 * (digit > 4) for digit in numbers[-2::-2]]
    return (sum(numbers[::-2]) + sum(twice)) % 10 == 0


def hide(text: str, mark: str) -> str:
    """Return `text` with `mark` for each card, bank account and US social number."""
    text = _cards().sub(lambda at: mark if card(at[0]) else at[0], text)
    return _social().sub(mark, _without_ibans(text, mark))


def _without_ibans(text: str, mark: str) -> str:
    starts, lengths = _ibans()
    parts: list[str] = []
    done = 0
    for start in starts.finditer(text):
        length = lengths.get(start[0][:2].upper())
        if length is None or start.start() < done:
            continue
        end = _end(text, start.start(), length)
        if end and _remainder(text[start.start() : end]) == 1:
            parts += (text[done : start.start()], mark)
            done = end
    return "".join((*parts, text[done:])) if parts else text


def _end(text: str, at: int, length: int) -> int:
    """Return where so many letters and digits end, or 0 when others come before."""
    remaining = length
    for position in range(at, min(len(text), at + _IBAN_MOST)):
        sign = text[position]
        if sign.isascii() and sign.isalnum():
            remaining -= 1
            if not remaining:
                after = text[position + 1 : position + 2]
                return 0 if after.isalnum() else position + 1
        elif sign not in _PARTS:
            return 0
    return 0


def _remainder(account: str) -> int:
    plain = "".join(char for char in account if char.isalnum()).upper()
    turned = plain[4:] + plain[:4]
    return int("".join(str(int(char, 36)) for char in turned)) % 97
