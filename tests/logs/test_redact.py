"""Secrets are taken out by name, by shape and by value; the rest stays as it is."""

import json
import logging
import random
import re
from pathlib import Path

import pytest
from tests.support.effort import at_most

from watchroom import redact
from watchroom.conf.redaction import _read, secrets
from watchroom.logs.formatter import Formatter
from watchroom.redact import Redactor
from watchroom.redact.walk import REDACTED, Limits

OWN = Redactor(names=["kontoNummer"], values=["s3cret-of-settings", "short", "kq7Zx2"])


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("GET https://u:p@ss@host/x?token=abc&b=2", f"GET https://{REDACTED}@host/x?token={REDACTED}&b={REDACTED}"),
        ("GET /x?justatoken HTTP/1.1", f"GET /x?{REDACTED} HTTP/1.1"),
        ("what? really=yes", "what? really=yes"),
        ("Authorization: Bearer abc.DEF", f"Authorization: {REDACTED}"),
        ("Cookie: a=b; c=d\nnext", f"Cookie: {REDACTED}\nnext"),
        ("Bearer dXNlcjpwYXNz", f"Bearer {REDACTED}"),
        ("Basic authentication failed", "Basic authentication failed"),
        ("--password=hunter2 -v", f"--password={REDACTED} -v"),
        ("{'password': 'hun\\'ter', 'a': 1}", f"{{'password': '{REDACTED}', 'a': 1}}"),
        ("password\t=\tx1", f"password\t=\t{REDACTED}"),
        ("key SG.abcdefgh_1234567.abcdefgh-1234567", f"key {REDACTED}"),
        ('{\\"apiKey\\": \\"x\\"}', f'{{\\"apiKey\\": \\"{REDACTED}\\"}}'),
        ("b'secret=1&x=2'", f"b'secret={REDACTED}&x=2'"),
        ("KeyError: 'token'", "KeyError: 'token'"),
        ("Key (email)=(abc) exists", f"Key (email)=({REDACTED}) exists"),
        ("mail a.b+c@ex.ample.com now", f"mail {REDACTED} now"),
        ("4111 1111 1111 1111 4111111111111112", f"{REDACTED} 4111111111111112"),
        ("dsn https://0123@o0.ingest.example/5", f"dsn https://{REDACTED}@o0.ingest.example/5"),
        ("redis://:pa/ss@cache:6379/0", f"redis://{REDACTED}@cache:6379/0"),
        ("sk_live_4eC39HqLyjWD", REDACTED),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl", REDACTED),
        ("kontonummer=17", f"kontonummer={REDACTED}"),
        ("is s3cret-of-settings", f"is {REDACTED}"),
        ("author=jo keyboard=de passenger=3", "author=jo keyboard=de passenger=3"),
        ("a short word", "a short word"),
        ("login kq7Zx2 failed", f"login {REDACTED} failed"),
        ("stripe sk_test_51Habcdefgh", f"stripe {REDACTED}"),
    ],
)  # fmt: skip
def test_what_is_written_of_a_text(said, written):
    assert OWN.text(said) == written
    assert OWN.text(written) == written
    assert OWN.suspects_any([said]) or said == written


@pytest.mark.parametrize(
    "name",
    ["password", "PASSWORD1", "X-Api-Key", "apiKey", "accessToken",
     "csrfmiddlewaretoken",
     "HTTP_AUTHORIZATION", "Set-Cookie", "db_passwd", "client_secret", "kontonummer",
     "sessionid", "iban", "card", "Stripe-Signature", "meine_kontonummer"],
)  # fmt: skip
def test_names_that_are_nobodys_business(name):
    assert OWN.plain({name: {"x": 1}}) == {name: REDACTED}


@pytest.mark.parametrize(
    "name",
    ["author", "key", "keyboard", "passenger", "tokens_used", "cache_key", "monkey",
     "sessions", "pinned", "cardinal", "design", "status"],
)  # fmt: skip
def test_names_that_only_look_like_it(name):
    assert OWN.plain({name: 1}) == {name: 1}


def test_pairs_are_names_and_values():
    scope = {
        "headers": [(b"x-api-key", b"k"), (b"x-other", b"o"), (b"host", b"h")],
        "query": [["password", "x"], ["page", "2"], ("password", "x", "y"), ("pin",)],
        "names": ("password", "email"),
    }

    assert OWN.plain(scope) == {
        "headers": [["x-api-key", REDACTED], ["x-other", REDACTED], ["host", "h"]],
        "query": [
            *(["password", REDACTED], ["page", "2"]),
            *(["password", "x", "y"], ["pin"]),
        ],
        "names": ["password", "email"],
    }
    assert OWN.plain([("b'authorization'", 1), (1, 2), (None, "x")]) == [
        *(["b'authorization'", REDACTED], [1, 2], [None, "x"]),
    ]


def test_a_walk_has_an_end():
    deep: dict = {}
    inner = deep
    for _ in range(5000):
        inner["a"] = {}
        inner = inner["a"]
    circular: list = []
    circular.append(circular)

    found = OWN.plain(
        {"deep": deep, "self": circular, "wide": list(range(9999)), "long": "x" * 10**6}
    )

    assert found["self"] == ["[circular]"]
    assert len(json.dumps(found)) < 20_000
    assert len(OWN.plain(["y" * 9000] * 99)) <= 100
    assert len(json.dumps(OWN.plain(["y" * 9000] * 99, Limits(chars=10_000)))) < 12_000


def test_whoever_raises_when_read_is_named():
    class Awkward:
        def __str__(self):
            raise ValueError("no")

    class Broken(dict):
        def items(self):
            raise ValueError("no")

    found = OWN.plain([Awkward(), Broken(a=1)])

    assert found == [
        "[Awkward: its text raised ValueError]",
        "[Broken: reading it raised ValueError]",
    ]


CORPUS = Path(__file__).parent / "corpus"
# A secret is marked «so»; · keeps scanners from taking the file for a leak.
SECRETS = [
    line.replace("·", "").replace("\\n", "\n")
    for line in (CORPUS / "secrets.txt").read_text().splitlines()
    if not line.startswith("#")
]
TOLD_OF = (
    *("token_count", "session_count", "password_changed", "api_key_id", "card_count"),
    *("otp_required", "cookie_consent", "has_password", "csrf_failed", "auth_ms"),
    *("secret_expires_at", "jwt_ttl", "pins", "tokens", "keyboard", "secretary"),
)
TAME = ("0", "1", "17", "512", "True", "false", "None", "ok", "off", "42")
HARMLESS = [
    line
    for line in (CORPUS / "harmless.txt").read_text().splitlines()
    if not line.startswith("#")
] + [f"{name}={value}" for name in TOLD_OF for value in TAME]


@pytest.fixture(scope="module")
def formatter():
    made = Formatter()
    made._redactor = Redactor()
    return made


def line_of(formatter, message, **extra):
    record = logging.LogRecord("shop", logging.INFO, "", 0, message, (), None)
    record.__dict__.update(extra)
    return json.loads(formatter.line(record))


def test_no_secret_of_the_corpus_is_written(formatter):
    leaked = {}
    for marked in SECRETS:
        text = marked.replace("«", "").replace("»", "")
        secrets = re.findall("«(.*?)»", marked, re.DOTALL)
        assert secrets
        written = [
            OWN.text(text),
            line_of(formatter, text)["message"],
            line_of(formatter, "m", said=text)["said"],
            line_of(formatter, "m", said={"deep": [text]})["said"]["deep"][0],
            line_of(formatter, "m", exc_info=(ValueError, ValueError(text), None))[
                "error_message"
            ],
        ]
        found = [one for one in written if any(secret in one for secret in secrets)]
        if found or OWN.text(written[0]) != written[0]:  # it stays as it is
            leaked[marked] = found or OWN.text(written[0])
    assert leaked == {}


def test_the_corpora_are_as_large_as_they_claim():
    assert sum(marked.count("«") for marked in SECRETS) >= 800
    assert len(HARMLESS) >= 1100


def test_harmless_texts_are_written_as_they_are():
    touched = {text: OWN.text(text) for text in HARMLESS if OWN.text(text) != text}
    assert touched == {}


@pytest.mark.parametrize(
    ("said", "written"),
    [
        # A number that is a valid card's may be an order's; nothing tells which.
        ("order 4539148803436467", f"order {REDACTED}"),
        # Names in a query are the project's; its values may be anything.
        ("GET /x?page=2&sort=name", f"GET /x?page={REDACTED}&sort={REDACTED}"),
        # Not recognised: see docs/logs-and-errors.md.
        ("call +49 30 1234567", "call +49 30 1234567"),
        ("aws wJalrXUtnFEMIxK7MDENGxbPxRfiCYEXAMPLEKEY",) * 2,
    ],
)
def test_what_no_rule_can_tell(said, written):
    assert OWN.text(said) == written


@pytest.mark.parametrize(
    ("name", "value", "written"),
    [
        ("number", 4242424242424242, REDACTED),
        ("number", 4242424242424243, 4242424242424243),
        ("number", 4242424242424242.0, REDACTED),
        ("number", 1796056251.076505, 1796056251.076505),
        ("id", 4611686018427387904, 4611686018427387904),
        ("password", True, True),
        ("password", "", ""),
        ("pin", 4711, REDACTED),
        ("pin", "yes", "yes"),
        ("session", 2, 2),
        ("session", "abc123def456", REDACTED),
        ("api_key_id", 5, 5),
        ("kontonummer", 1, REDACTED),
        ("field", {"key": "pin", "value": "x1"}, {"key": "pin", "value": REDACTED}),
    ],
)  # fmt: skip
def test_what_is_written_of_a_named_value(formatter, name, value, written):
    assert OWN.plain({name: value}) == {name: written}
    formatter._redactor = OWN
    for _ in range(2):  # the second time its shape is known
        assert line_of(formatter, "m", **{name: value})[name] == written


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("/nope/path404Tok77", f"/nope/{REDACTED}"),
        ("/reset/MQ/c3k1x2-0a1b2c3d4e5f6a7b8c9d/", f"/reset/MQ/{REDACTED}/"),
        ("/wp-login.php", "/wp-login.php"),
        ("/.env.backup2024", "/.env.backup2024"),
        ("/api/v1/orders/20261130/", "/api/v1/orders/20261130/"),
    ],
)
def test_a_path_that_leads_nowhere_keeps_its_plain_parts(said, written):
    assert redact.shapes.path(said, REDACTED) == written


PIECES = (
    *(
        "password",
        "token",
        "Bearer ",
        "basic ",
        "=",
        ":",
        ": ",
        "?",
        "/",
        "&",
        "@",
        " ",
    ),
    *("abcD1234efgh", "4111111111111111", "4111-1111-1111-1111", ".example", '"', "'"),
    *("kq7Zx2", "sk_test_", "k_", "rk_live_", "tes"),
    *("s3cret-of-settings", "sk_live_4eC39HqLy", "eyJhbGciOiJI.eyJzdWIiOiIx.", "\n"),
    *(
        "kontonummer",
        "X-Api-Key",
        "cookie",
        "iban",
        ")=(",
        "-----BEGIN PRIVATE KEY-----",
    ),
    *("\\", '\\"', "]", "\t", "\r", "\v", "\f", "\u2003", "=>", "password", "pin"),
    *("SG.abcdefgh_1234567.abcdefgh-1234567", "Set-Cookie", "Authorization", "x."),
    *(
        "<",
        "</",
        ">",
        "<pin>",
        "&lt;",
        "('",
        "',",
        "', '",
        " -p",
        " --",
        "mysql",
        "set ",
    ),
    *(" is ", " was set to ", "the pin", "4711", "Duplicate entry '", "' for key", "("),
    *(
        "Failing row contains (",
        ")",
        "input_value=",
        "' is not a valid",
        "SELECT ",
        " FROM ",
    ),
    *("INSERT INTO t VALUES ('", "NL91ABNA0417164300", "DE89 3704 0044 0532 0130 00"),
    *(
        "078-05-1120",
        "4111.1111.1111.1111",
        "glpat-",
        "gh",
        "bot",
        "passphrase ",
        "key",
    ),
    *("ghp_0123456789012345678901", "AKIA0123456789ABCDEF", "é", "{", "}", "word"),
    # What a pattern that ignores case, or any digit, takes for ASCII.
    *("ba\u017fic AbCdefgh1", "to\u212aen AbCdefgh1", "4\u0661111111111111", "\u0661"),
)


def test_the_quick_look_misses_nothing():
    chance = random.Random(7)
    for _ in range(8000):
        text = "".join(chance.choices(PIECES, k=chance.randint(1, 8)))
        if OWN.text(text) != text:
            assert OWN.suspects_any([text]), text


def test_what_is_remembered_as_clean_hides_no_secret(monkeypatch):
    monkeypatch.setattr(redact, "_KNOWN_CLEAN", 16)  # fills soon
    chance, own = random.Random(8), Redactor(values=["s3cret-of-settings"])
    known = ["".join(chance.choices(PIECES, k=chance.randint(1, 3))) for _ in range(99)]
    for _ in range(4000):
        texts = chance.choices(known, k=chance.randint(1, 6))
        suspect = own.suspects_any(texts)
        assert suspect or all(own.text(text) == text for text in texts), texts
        assert len(own._clean) < 16 + 6

    assert own._clean


@pytest.mark.parametrize(
    "piece",
    ["a", "a=", "://", "@", "a@", "1 ", "?a", "b\\", "://a@", "eyJ", "a.b@c.", "-",
     "-eyJ", "SG.", "authorization:", "password:", "b\"'", 'password="', "4", "4-",
     "Bearer ", "<a>", "<a ", "('a','", "' -p", " -pw a", "set a ", "pin is ", "'",
     "SELECT '", "INSERT INTO a ", "Failing row contains (", "DE89 ", "4111.", "gh",
     "mysql ", "is not ", "password ", "“", '\\\\"', "password=A.b(", "; args=",
     "near '"],
)  # fmt: skip
def test_no_text_takes_long(piece):
    with at_most(0.5):
        OWN.text((piece * 32768)[:32768])


def test_what_is_a_secret_of_the_settings():
    given = {
        "SENDGRID_API_KEY": "SG.xxx1.yyy",
        "TOKEN_BACKEND": "shop.tokens.Backend",
        "DATABASE_URL": "postgres://u:hunter2pass@db/x",
        "FIELD_ENCRYPTION_KEY": b"Ynl0ZXMtc2Vj\xff",
        "FERNET_KEYS": ["Zm9vYmFyMDEyMzQ1Njc4"],
        "STRIPE_KEY": "51Habcdefgh01234",
        "SLACK_WEBHOOK_URL": "https://hooks.example/services/T0/B0/abcdefSECRETxyz/",
    }

    assert secrets(given.items()) == [
        "SG.xxx1.yyy",
        "hunter2pass",
        "Ynl0ZXMtc2Vj\\xff",
        "Zm9vYmFyMDEyMzQ1Njc4",
        "51Habcdefgh01234",
        "/services/T0/B0/abcdefSECRETxyz",
    ]


def test_what_is_no_secret_of_the_settings():
    given = {
        "STRIPE_WEBHOOK_URL": "https://shop.example/api/v1/webhooks/stripe/",
        "TOKEN_URL": "https://id.example/oauth2/tokens/abcdefSECRETxyz",
        "SSL_KEY": "/etc/ssl/private/server-2026.key",
        "SORT_KEY": "created_at_and_number",
        "CACHE_MIDDLEWARE_KEY_PREFIX": "shop-production-2026",
        "ACCESS_KEY_MODULE": "shop.keys.Access",
    }

    assert secrets(given.items()) == []


def test_a_setting_that_raises_is_no_secret():
    class Settings:
        DEBUG = True

        @property
        def SECRET_KEY(self):  # noqa: N802 - as Django calls it
            raise ValueError("must not be empty")

    assert _read(Settings(), "SECRET_KEY") is None
    assert _read(Settings(), "DEBUG") is True
