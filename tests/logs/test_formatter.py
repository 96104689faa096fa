"""No record is lost or raises, whatever is in it; every line is one line of JSON."""

import dataclasses
import datetime as dt
import decimal
import json
import logging
import random
import sys
import uuid
from pathlib import Path

import pytest

from watchroom.context.trace import CURRENT, TraceContext
from watchroom.logs import formatter
from watchroom.logs.formatter import MAX_LINE, Formatter
from watchroom.logs.readable import ReadableFormatter

GOLDEN = Path(__file__).parent / "golden"
MOMENT = 1795541728.123456


class Raises:
    def __str__(self):
        raise ValueError("no")

    __repr__ = __str__


@dataclasses.dataclass
class Account:
    name: str
    password: str


def circular():
    one: dict = {"name": "one"}
    one["self"] = [one]
    return one


def deep():
    value: list = []
    for _ in range(100_000):
        value = [value]
    return value


AWKWARD = {
    "object": object(),
    "set": {1, 2},
    "decimal": decimal.Decimal("1.50"),
    "bytes": b"\xff\x00caf",
    "str raises": Raises(),
    "raises inside": {"a": [Raises()]},
    "circular": circular(),
    "tuple key": {(1, 2): 3, None: 4, 5: 6, Raises(): 7},
    "nan": float("nan"),
    "infinity inside": [float("inf"), {"x": float("-inf")}],
    "2**70": 2**70,
    "too many digits": 10**5000,
    "lone surrogate": "a\ud800b",
    "surrogate key": {"\udcff": 1},
    "deep": deep(),
    "huge": "x" * 10**7,
    "huge container": {str(n): "y" * 100 for n in range(100_000)},
    "newline": "one\r\ntwo\u2028three\x1b[31m",
    "uuid": uuid.UUID(int=5),
    "datetime": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    "dataclass": Account("jo", "planted"),
    "exception": ValueError("planted@example.org"),
    "class": Raises,
    "text of its own kind": type("Text", (str,), {"__str__": Raises.__str__})("x"),
    "number of its own kind": type("Number", (int,), {})(7),
}


@pytest.fixture(params=["orjson", "json"])
def encoding(request, monkeypatch):
    if request.param == "json":
        # The extra missing is what this is about.
        monkeypatch.setitem(sys.modules, "orjson", None)  # not installed
    return request.param


def record(message="hello", *args, level=logging.INFO, exc_info=None, **extra):
    made = logging.LogRecord("app.views", level, "x.py", 1, message, args, exc_info)
    made.created = MOMENT
    made.__dict__.update(extra)
    return made


def parsed(line):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    assert b"\n" not in line
    assert b"\r" not in line
    return json.loads(line, parse_constant=refuse)


@pytest.mark.usefixtures("encoding")
@pytest.mark.parametrize("schema", ["guide", "ecs"])
@pytest.mark.parametrize("kind", AWKWARD)
@pytest.mark.parametrize("place", ["extra", "nested", "argument", "message"])
def test_a_record_is_never_lost(schema, kind, place):
    value, made = AWKWARD[kind], None
    if place == "extra":
        made = record(value=value)
    elif place == "nested":
        made = record(value={"inner": [value]})
    elif place == "argument":
        made = record("said %s", value)
    else:
        made = record(value)

    line = Formatter(schema).line(made)

    found = parsed(line)
    assert found.get("name", found.get("log.logger")) == "app.views"
    assert len(line) < 3 * MAX_LINE
    assert b"planted" not in line
    assert "log_error" not in found


@pytest.mark.usefixtures("encoding")
@pytest.mark.parametrize(
    "made",
    [
        record("%d apples", "three"),
        record("%s and %s", "one"),
        record("no placeholder", 1),
        record("%(a)s", {"b": 1}),
        record(None),
        record(name=Raises(), levelname=Raises()),
        record(**{"weird key \ud800": 1, "": 2}),
        record(watchroom={"status": object(), "duration_ms": "long"}),
        record(watchroom="mine"),
        record(exc_info=(None, None, None)),
        record(exc_info=True),
        record(exc_info=(ValueError, Raises(), None)),
        record(stack_info=Raises()),
    ],
    ids=range(13),
)
def test_what_does_not_fit_together_is_a_line_too(made):
    for schema in ("guide", "ecs"):
        assert parsed(Formatter(schema).line(made))


def test_keys_that_are_not_text_are_reported():
    made = record()
    made.__dict__[(1, 2)] = 3

    assert parsed(Formatter().line(made))["(1, 2)"] == 3


def test_the_guide_has_its_four_fields_and_then_the_rest():
    line = Formatter("guide").line(record("posted %d", 3, invoice=7, password="x"))

    assert line.decode() == (
        '{"asctime":"2026-11-24T17:35:28.123456Z","name":"app.views",'
        '"levelname":"INFO","message":"posted 3","invoice":7,"password":"[redacted]"}'
    )


def test_a_field_of_the_projects_own_never_hides_one_of_ours():
    found = parsed(Formatter().line(record(request_id="mine", levelno=5, trace_id=1)))

    assert found["extra_request_id"] == "mine"
    assert found["extra_trace_id"] == 1


def failing(text="no card 4111111111111111 for jo@planted.example"):
    raise ValueError(text)


@pytest.mark.parametrize("schema", ["guide", "ecs"])
def test_an_exception_comes_with_type_text_and_stack(schema):
    try:
        failing()
    except ValueError:
        made = record("failed", exc_info=sys.exc_info())

    line = Formatter(schema).line(made)

    found = parsed(line)
    names = {"guide": ("error_type", "error_message", "exc_info"),
             "ecs": ("error.type", "error.message", "error.stack_trace")}  # fmt: skip
    kind, text, stack = (found[name] for name in names[schema])
    assert kind == "ValueError"
    assert text == "no card [redacted] for [redacted]"
    assert "in failing" in stack
    assert b"4111" not in line
    assert b"planted" not in line


@pytest.mark.usefixtures("encoding")
@pytest.mark.parametrize("schema", ["guide", "ecs"])
def test_a_line_of_each_kind_is_as_it_was(schema):
    """The golden files are the contract with whoever reads the lines."""
    trace = TraceContext("abc-1", "0af7651916cd43dd8448eb211c80319c")
    task = TraceContext("abc-1", "0af7651916cd43dd8448eb211c80319c", "7e1c-task")
    tallies = {"db_count": 3, "db_ms": 0.25, "cache_hits": 1, "cache_misses": 0}
    request = {
        "method": "GET",
        "route": "x/<int:n>/",
        "status": 200,
        "duration_ms": 1.5,
        **tallies,
        "user_id": "7",
    }
    done = {
        "task_name": "billing.send",
        "task_state": "SUCCESS",
        "duration_ms": 2.0,
        "queue": "celery",
        "task_retries": 1,
        **tallies,
    }
    lines = []
    for above, made in (
        (
            None,
            record("plain", n=1, ratio=0.5, ok=True, nothing=None, inner={"a": [1]}),
        ),
        (trace, record("GET x/<int:n>/ 200", watchroom=request)),
        (trace, record("asked?", level=logging.WARNING, note="a=b")),
        (task, record("billing.send SUCCESS", watchroom=done)),
    ):
        token = CURRENT.set(above)
        lines.append(Formatter(schema).line(made).decode() + "\n")
        CURRENT.reset(token)

    assert "".join(lines) == (GOLDEN / f"{schema}.jsonl").read_text()


def test_ecs_has_what_its_specification_requires():
    found = parsed(Formatter("ecs").line(record(n=1)))

    assert {"@timestamp", "log.level", "message", "ecs.version"} <= set(found)
    assert found["labels"] == {"n": 1}
    assert "log" not in found


def test_nothing_in_a_record_ends_a_line_of_text_or_moves_the_cursor():
    try:
        failing("one\n2026 ERROR app forged\x1b[2J")
    except ValueError:
        made = record("a\nb\x1b[31m", exc_info=sys.exc_info(), key="c\rd")

    text = ReadableFormatter(colours=False).format(made)

    first, *rest = text.split("\n")
    assert r"a\nb\x1b[31m key=c\rd" in first
    assert all(line.startswith("    ") for line in rest)
    assert text.replace("\n", "").isprintable()


def test_only_one_of_ten_lines_takes_the_careful_way(monkeypatch):
    careful = []
    monkeypatch.setattr(  # counts calls
        formatter.Formatter, "fields", lambda *_: careful.append(1) or {}
    )  # counts calls, and answers none
    made = Formatter()
    for number in range(100):
        made.line(record("invoice %d sent in %.1f s", number, 0.5, customer=number))

    assert not careful


TEXTS = ("GET", "word", "jo@example.org", "pin=1234", "a: b", "Bearer AbCdefgh12", "é")
VALUES = (*TEXTS, 1, 0.5, None, True, -3, ["word", "token=x"], {"pin": "1", "a": "b"})
KEYS = ("method", "path", "customer", "password", "apiKey", "time", "request_id")


@pytest.mark.usefixtures("encoding")
@pytest.mark.parametrize("schema", ["guide", "ecs"])
def test_the_quick_way_writes_what_the_careful_way_does(schema):
    made, chance = Formatter(schema), random.Random(9)
    quick = 0
    for _ in range(1500):
        keys = chance.sample(KEYS, k=chance.randint(0, 4))
        extra = {key: chance.choice(VALUES) for key in keys}
        if chance.random() < 0.3:
            extra["watchroom"] = {"route": chance.choice(TEXTS), "status": 200}
        one = record(" ".join(chance.choices(TEXTS, k=2)), **extra)

        quick += made._quick(one) is not None
        assert parsed(made.line(one)) == parsed(made._dumps(made.fields(one)))

    assert quick > 200


@pytest.mark.parametrize("schema", ["guide", "ecs"])
def test_a_line_of_ours_has_no_secret_in_its_fields(schema):
    fields = {"path": "/unsub/joe@example.org/", "user_id": "jo@example.org"}

    line = Formatter(schema).line(record("GET unresolved 404", watchroom=fields))

    assert b"/unsub/[redacted]/" in line
    assert b"example.org" not in line
