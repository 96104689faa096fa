"""Reads and runs scripts in the test language of Prometheus' promqltest.

Float samples only: native histograms are noticed, so that what touches them can be
left out by name and number, and never loaded.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from watchroom.errors import QueryError, QuerySyntaxError, UnsupportedError
from watchroom.promql.memory import MemoryQueryable, Series
from watchroom.promql.model import (
    STALE,
    Labels,
    Matrix,
    Scalar,
    String,
    Vector,
    labels_of,
    matches_all,
)
from watchroom.promql.parse import parse
from watchroom.promql.syntax import (
    Aggregate,
    Binary,
    Call,
    Negate,
    Node,
    RangeSelector,
    Selector,
    Subquery,
    walk,
)
from watchroom.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from watchroom.promql.engine import Engine
    from watchroom.promql.notes import Notes

EPSILON = 0.000001  # promqltest's own relative tolerance
# Their results change with the time of evaluation, whatever their arguments.
_UNSAFE_WITH_AT = frozenset(
    [
        "days_in_month",
        "day_of_month",
        "day_of_week",
        "day_of_year",
        "hour",
        "minute",
        "month",
        "year",
        "predict_linear",
        "time",
        "timestamp",
    ]
)
_EVAL = re.compile(
    r"eval(?:_(?P<kind>warn|fail|ordered|info))?\s+(?:instant\s+at\s+(?P<at>\S+)"
    r"|range\s+from\s+(?P<start>\S+)\s+to\s+(?P<end>\S+)\s+step\s+(?P<step>\S+))"
    r"\s+(?P<expr>.+)"
)
_PAIR = re.compile(
    r'\s*(?P<name>"(?:\\.|[^"\\])*"|[\w.:]+)\s*'
    r"(?:=\s*(?P<value>\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|`[^`]*`))?\s*(?:,|$)"
)
_POINT = re.compile(
    r"(?P<native>\{\{.*?\}\}(?:[+-]\{\{.*?\}\})?(?:x\d+)?)"
    r"|(?P<gap>_|stale)(?:x(?P<gaps>\d+))?(?=\s|$)"
    r"|(?P<start>[-+]?(?:[iI]nf|NaN|nan|[\d.]+(?:[eE][-+]?\d+)?))"
    r"(?:(?P<sign>[-+])(?P<by>-?(?:[iI]nf|NaN|[\d.]+(?:[eE][-+]?\d+)?))(?=x))?"
    r"(?:x(?P<times>\d+))?(?=\s|$)"
)


class Points(NamedTuple):
    """A line's points: values, None for a gap; `native` when one is a histogram."""

    values: list[float | None]
    native: bool


@dataclass(frozen=True)
class Load:
    """A ``load``: series with their points, one every `interval_ms`."""

    interval_ms: int
    series: dict[Labels, Points]
    with_native: bool
    started: tuple[Labels, ...] = ()


@dataclass(frozen=True)
class Eval:
    """An ``eval``: the question and what is expected of the answer."""

    line: int
    expr: str
    start_ms: int
    end_ms: int
    step_ms: int | None
    kind: str | None
    expected: tuple[tuple[Labels | None, Points], ...]
    expects: tuple[str, ...]
    loads: tuple[Load, ...] = field(repr=False)

    @property
    def fails(self) -> bool:
        return self.kind == "fail" or any(
            each.startswith("fail") for each in self.expects
        )

    @property
    def ordered(self) -> bool:
        return self.kind == "ordered" or "ordered" in self.expects


def milliseconds(text: str) -> int:
    """Return a time or duration of the script: ``5m``, ``-1m30s`` or seconds."""
    sign = -1 if text.startswith("-") else 1
    text = text.lstrip("-")
    try:
        return sign * round(float(text) * 1000)
    except ValueError:
        return sign * round(parse_duration(text) * 1000)


def _unquote(text: str) -> str:
    if text[0] == "`":
        return text[1:-1]
    return re.sub(
        r"\\(.)", lambda found: {"n": "\n"}.get(found[1], found[1]), text[1:-1]
    )


def _labels(text: str) -> tuple[Labels, str]:
    """Return the series that `text` begins with, and the rest of it."""
    name = re.match(r"[a-zA-Z_:][\w:]*", text)
    pairs = {"__name__": name[0]} if name else {}
    rest = text[name.end() :] if name else text
    rest = rest.lstrip()
    if rest.startswith("{") and not rest.startswith("{{"):
        end = re.match(
            r"\{(?:\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|`[^`]*`|[^}])*\}", rest
        )
        assert end, text
        inside, rest = end[0][1:-1], rest[end.end() :]
        place = 0
        while place < len(inside.rstrip()):
            pair = _PAIR.match(inside, place)
            assert pair, text
            key = pair["name"]
            key = _unquote(key) if key[0] == '"' else key
            if pair["value"] is None:
                pairs["__name__"] = key
            else:
                pairs[key] = _unquote(pair["value"])
            place = pair.end()
    return labels_of(pairs), rest.strip()


def points(text: str) -> Points:
    """Return the points of an expanding notation such as ``1+2x3 _ stale``."""
    values: list[float | None] = []
    native = False
    place = 0
    text = text.strip()
    while place < len(text):
        point = _POINT.match(text, place)
        assert point, f"cannot read points {text[place:]!r}"
        place = (
            point.end() + len(text[point.end() :]) - len(text[point.end() :].lstrip())
        )
        if point["native"]:
            native = True
        elif point["gap"]:
            value = None if point["gap"] == "_" else STALE
            values += [value] * int(point["gaps"] or 1)
        else:
            start, by = float(point["start"]), float(point["by"] or 0)
            by = -by if point["sign"] == "-" else by
            times = int(point["times"]) if point["times"] else 0
            values.append(start)
            for _ in range(times):
                start += by
                values.append(start)
    return Points(values, native)


def _expected(line: str) -> tuple[Labels | None, Points]:
    if re.match(r"[-+]?(?:\d|\.\d|[iI]nf\b|NaN\b)", line):
        return None, points(line)
    labels, rest = _labels(line)
    return labels, points(rest)


def read(text: str) -> Iterator[Eval]:
    """Yield every ``eval`` of a script with the loads it looks at."""
    lines = [
        "" if each.strip().startswith("#") else each.strip()
        for each in text.splitlines()
    ]
    loads: tuple[Load, ...] = ()
    at = 0
    while at < len(lines):
        head, number = lines[at], at + 1
        at += 1
        body = []
        if head and head != "clear":
            while at < len(lines) and lines[at]:
                body.append(lines[at])
                at += 1
        if head == "clear":
            loads = ()
        elif head.startswith("load"):
            command, interval = head.split()
            started = tuple(
                _labels(each.split()[0].removesuffix("@st"))[0]
                for each in body
                if each.split()[0].endswith("@st")
            )
            lines_ = [each for each in body if not each.split()[0].endswith("@st")]
            series = {labels: points(rest) for labels, rest in map(_labels, lines_)}
            native = "nhcb" in command
            loads = (*loads, Load(milliseconds(interval), series, native, started))
        elif head:
            yield _eval(head, number, body, loads)


def _eval(head: str, number: int, body: list[str], loads: tuple[Load, ...]) -> Eval:
    found = _EVAL.fullmatch(head)
    assert found, head
    expects = [
        each.removeprefix("expect ").strip()
        for each in body
        if each.startswith("expect ")
    ]
    expects += [
        f"fail {how}: {each.split(maxsplit=1)[1]}"
        for each in body
        for how, start in (
            ("msg", "expected_fail_message "),
            ("regex", "expected_fail_regexp "),
        )
        if each.startswith(start)
    ]
    values = [each for each in body if not each.startswith("expect")]
    instant = found["at"] is not None
    start = milliseconds(found["at"] if instant else found["start"])
    for each in expects:
        # The grid a window is expected on also says when it is asked for.
        grid = re.match(r"range vector\s+from\s+\S+\s+to\s+(\S+)", each)
        start = milliseconds(grid[1]) if grid else start
    return Eval(
        number,
        found["expr"],
        start,
        start if instant else milliseconds(found["end"]),
        None if instant else milliseconds(found["step"]),
        found["kind"],
        tuple(_expected(each) for each in values),
        tuple(expects),
        loads,
    )


class Stored(NamedTuple):
    """What the loads put in: float series, and labels of the native histograms."""

    series: list[Series]
    native: list[Labels]


def stored(loads: Sequence[Load]) -> Stored:
    """Return the series of `loads`; later points win over earlier of the same time."""
    samples: dict[Labels, dict[int, float]] = {}
    native: list[Labels] = []
    for load in loads:
        for labels, line in load.series.items():
            if line.native:
                native.append(labels)
                continue
            kept = samples.setdefault(labels, {})
            for index, value in enumerate(line.values):
                if value is not None:
                    kept[index * load.interval_ms] = value
            if load.with_native:
                pairs = dict(labels)
                pairs["__name__"] = re.sub(
                    r"_(bucket|sum|count)$", "", pairs["__name__"]
                )
                pairs.pop("le", None)
                native.append(labels_of(pairs))
    series = [
        Series(
            labels,
            np.array(sorted(kept), np.int64),
            np.array([kept[when] for when in sorted(kept)], np.float64),
        )
        for labels, kept in samples.items()
    ]
    return Stored(series, native)


def experimental(block: Eval) -> str | None:
    """Return what of `block` Prometheus refuses without a feature flag, or None."""
    try:
        parse(block.expr)
    except QuerySyntaxError as error:
        found = re.match(r"(.*) (?:is|are) not enabled: ", str(error))
        return found[1] if found else None
    except UnsupportedError:
        return None
    return None


def refusal(block: Eval) -> str | None:
    """Return what `block` is about that the engine refuses, or None."""
    try:
        nodes = list(walk(parse(block.expr)))
    except UnsupportedError as error:
        return str(error)
    except QueryError:
        return None
    started = [labels for load in block.loads for labels in load.started]
    if _selects(nodes, started):
        return "start timestamps"
    return None


def _selects(nodes: Sequence[Node], series: Sequence[Labels]) -> bool:
    return any(
        isinstance(node, Selector)
        and any(matches_all(node.matchers, labels) for labels in series)
        for node in nodes
    )


def is_native(block: Eval) -> bool:
    """Return whether `block` is about native histograms: expects or selects any."""
    if any(line.native for _, line in block.expected):
        return True
    native = stored(block.loads).native
    if not native:
        return False
    try:
        nodes = list(walk(parse(block.expr)))
    except UnsupportedError as error:
        return "native histograms" in str(error)
    except QueryError:
        return False
    return _selects(nodes, native)


def almost_equal(one: float, other: float) -> bool:
    """Return whether promqltest would take the two values for the same."""
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    if one == other:
        return True
    total, difference = abs(one) + abs(other), abs(one - other)
    smallest = 2.2250738585072014e-308
    if one == 0 or other == 0 or total < smallest:
        return difference < EPSILON * smallest
    return difference / min(total, 1.7976931348623157e308) < EPSILON


def _check_vector(
    block: Eval, samples: Sequence[tuple[Labels, float]], *, ordered: bool
) -> None:
    expected = {labels: line.values[0] for labels, line in block.expected}
    got = dict(samples)
    assert len(got) == len(samples), "a series comes twice"
    assert set(got) == set(expected), f"series {set(got) ^ set(expected)} differ"
    if ordered:
        assert list(got) == [labels for labels, _ in block.expected]
    for labels, value in expected.items():
        assert value is not None
        assert almost_equal(value, got[labels]), (
            f"{labels}: {got[labels]!r} is not {value!r}"
        )


def _check_matrix(block: Eval, matrix: Matrix, start: int, step: int) -> None:
    assert [row[0] for row in matrix.series] == sorted(row[0] for row in matrix.series)
    expected = {labels or (): line.values for labels, line in block.expected}
    got = {labels: (times, values) for labels, times, values in matrix.series}
    assert len(got) == len(matrix.series), "a series comes twice"
    wanted = {labels for labels, values in expected.items() if set(values) != {None}}
    assert set(got) == wanted, f"series {set(got) ^ wanted} differ"
    for labels in wanted:
        points_ = [
            (start + index * step, value)
            for index, value in enumerate(expected[labels])
            if value is not None
        ]
        times, values = got[labels]
        assert [when for when, _ in points_] == times.tolist(), (
            labels,
            values.tolist(),
        )
        for (when, value), mine in zip(points_, values.tolist(), strict=True):
            assert almost_equal(value, mine), (
                f"{labels} at {when}: {mine!r} is not {value!r}"
            )


def _check_failure(block: Eval, error: QueryError) -> None:
    for expectation in block.expects:
        found = re.fullmatch(r"fail\s+(msg|regex):\s*(.*)", expectation)
        if found and found[1] == "msg":
            assert str(error) == found[2]
        elif found:
            assert re.search(found[2], str(error)), str(error)


def run(block: Eval, engine: Engine, memory: MemoryQueryable) -> None:
    """Raise AssertionError unless the engine answers `block` as it expects."""
    try:
        _run(block, engine, memory)
    except UnsupportedError:
        raise
    except QueryError as error:
        if not block.fails:
            raise
        _check_failure(block, error)
    else:
        assert not block.fails, "expected to fail"


def _check_notes(block: Eval, notes: Notes) -> None:
    """Compare warnings and infos; only the place in the text is not ours to know."""
    for kind, found in (("warn", notes.warnings), ("info", notes.infos)):
        wanted = [
            each
            for each in block.expects
            if each.split(maxsplit=1)[0] in {kind, f"no_{kind}"}
        ]
        assert found or block.kind != kind
        for expectation in wanted:
            says, _, text = expectation.partition(": ")
            if says.startswith("no_"):
                assert not found
            elif says.endswith("msg"):
                assert re.sub(r" \(\d+:\d+\)$", "", text) in found
            elif says.endswith("regex"):
                assert any(re.search(text, f"{each} (1:21)") for each in found), found
            else:
                assert found


def _run(block: Eval, engine: Engine, memory: MemoryQueryable) -> None:
    with engine.ask() as asked:
        if block.step_ms is None:
            engine.instant(memory, block.expr, block.start_ms, asked)
        else:
            matrix = engine.range(
                memory,
                block.expr,
                block.start_ms,
                block.end_ms,
                block.step_ms,
                asked,
            )
            if not block.fails:
                _check_matrix(block, matrix, block.start_ms, block.step_ms)
    if not block.fails:
        _check_notes(block, asked.notes)
    if block.step_ms is not None:
        return
    node = parse(block.expr)
    moments = [(node, block.start_ms), *_with_at(node, block.start_ms)]
    for question, at in moments:
        value = engine.instant(memory, question, at)
        if not block.fails:
            _check_instant(block, value)
        if isinstance(value, Vector | Scalar) and not _of_query(node):
            _check_middle(block, question, at, (engine, memory))


def _of_query(node: Node) -> bool:
    """Return whether the query's own start or end make a range differ."""
    return any(getattr(each, "at", None) in {"start", "end"} for each in walk(node))


def _check_instant(block: Eval, value: object) -> None:
    string = [each for each in block.expects if each.startswith("string")]
    if string:
        assert isinstance(value, String)
        assert value.value == _unquote(string[0].removeprefix("string").strip())
    elif isinstance(value, Scalar):
        ((labels, line),) = block.expected
        assert labels is None
        assert line.values[0] is not None
        assert almost_equal(line.values[0], value.value), value
    elif isinstance(value, Vector):
        _check_vector(block, value.samples, ordered=block.ordered)
    else:
        assert isinstance(value, Matrix)
        (grid,) = [each for each in block.expects if each.startswith("range vector")]
        found = re.search(r"from (\S+) to \S+ step (\S+)", grid)
        assert found
        _check_matrix(block, value, milliseconds(found[1]), milliseconds(found[2]))


def _check_middle(
    block: Eval, question: str | Node, at: int, tools: tuple[Engine, MemoryQueryable]
) -> None:
    """Ask again as a range of three minutes and compare the one in the middle."""
    engine, memory = tools
    try:
        matrix = engine.range(memory, question, at - 60000, at + 60000, 60000)
    except QueryError:
        # Another step of the range may rightly fail where this one does not.
        return
    samples = [
        (labels, float(values[times == at][0]))
        for labels, times, values in matrix.series
        if at in times
    ]
    if block.fails:
        return
    if block.expected and block.expected[0][0] is None:
        block = replace(block, expected=(((), block.expected[0][1]),))
    _check_vector(block, samples, ordered=False)


def _with_at(node: Node, at: int) -> list[tuple[Node, int]]:
    """Return the same question pinned by ``@`` to its time, asked at other times."""
    if _of_query(node) or any(
        isinstance(each, Call) and each.name in _UNSAFE_WITH_AT for each in walk(node)
    ):
        return []
    others = [-10 * at, 0, at // 5, at, 10 * at] if at else [-1000, 0, 1000]
    pinned = _pin(node, at)
    return [(pinned, other) for other in others]


def _pin(node: Node, at: int) -> Node:  # noqa: PLR0911 - one per kind of node
    match node:
        case Selector():
            return node if node.at is not None else node._replace(at=at)
        case RangeSelector():
            inner = _pin(node.selector, at)
            assert isinstance(inner, Selector)
            return node._replace(selector=inner)
        case Subquery():
            if node.at is not None:
                return node
            # As promqltest does: what stands inside is pinned only by the subquery.
            return node._replace(at=at)
        case Call():
            return node._replace(args=tuple(_pin(each, at) for each in node.args))
        case Aggregate():
            param = None if node.param is None else _pin(node.param, at)
            return node._replace(inner=_pin(node.inner, at), param=param)
        case Binary():
            return node._replace(left=_pin(node.left, at), right=_pin(node.right, at))
        case Negate():
            return Negate(_pin(node.inner, at))
    return node
