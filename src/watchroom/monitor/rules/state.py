"""Alert state on disk: written at each change, read once when the monitor starts."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, NamedTuple

from watchroom.errors import StoreError
from watchroom.monitor.rules.alerting import ActiveAlert, Identity
from watchroom.promql.model import labels_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from watchroom.monitor.state.database import StateDB
    from watchroom.promql.model import Labels


class RuleState(NamedTuple):
    """A rule of the last process and its alerts."""

    identity: Identity
    expr: str
    active: dict[Labels, ActiveAlert]


def _key(identity: Identity) -> str:
    return json.dumps(identity, separators=(",", ":"))


def _identity(key: str) -> Identity:
    file, group, name, labels, nth = json.loads(key)
    return Identity(file, group, name, tuple((k, v) for k, v in labels), nth)


def _pairs(text: str) -> Labels:
    return tuple(sorted(json.loads(text).items()))


def recall(state: StateDB) -> list[RuleState]:
    """Return every rule that has alerts on disk, with them."""
    rules: dict[str, RuleState] = {}
    for key, expr in state.read("SELECT id, expr FROM rule ORDER BY id"):
        rules[key] = RuleState(_identity(key), expr, {})
    rows = state.read(
        "SELECT rule, labels, annotations, value, state, active_at_ms, fired_at_ms, "
        "resolved_at_ms, keep_firing_since_ms FROM alert"
    )
    for rule, labels, texts, value, *rest in rows:
        if rule in rules:
            alert = ActiveAlert(
                labels_of(json.loads(labels)),
                _pairs(texts),
                math.nan if value is None else value,
                *rest,
            )
            rules[rule].active[alert.labels] = alert
    return list(rules.values())


def save(
    state: StateDB,
    rules: Sequence[tuple[Identity, str, Sequence[ActiveAlert], Sequence[ActiveAlert]]],
) -> None:
    """Put changed alerts on disk, and forgotten ones off it.

    Args:
        state: Where.
        rules: (rule, expr, changed, gone).

    Raises:
        StoreError: The disk refused, did not answer in time, or still hangs from the
            last time: were every group to wait for it, the rules would stand still.
    """
    if state.late:
        raise StoreError("the disk still isn't responding")
    keep: list[tuple[object, ...]] = []
    drop: list[tuple[str, str]] = []
    rule_rows: list[tuple[str, str]] = []
    for identity, expr, changed, forgotten in rules:
        key = _key(identity)
        rule_rows.append((key, expr))
        keep.extend((key, *_row(alert)) for alert in changed)
        drop.extend((key, json.dumps(alert.labels)) for alert in forgotten)

    def change(db: sqlite3.Connection) -> None:
        db.executemany("INSERT OR REPLACE INTO rule VALUES (?, ?)", rule_rows)
        db.executemany("DELETE FROM alert WHERE rule = ? AND fingerprint = ?", drop)
        db.executemany(
            "INSERT OR REPLACE INTO alert VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", keep
        )

    state.commit(change)


def _row(alert: ActiveAlert) -> tuple[object, ...]:
    return (
        json.dumps(alert.labels),
        json.dumps(dict(alert.labels)),
        json.dumps(dict(alert.annotations)),
        None if math.isnan(alert.value) else alert.value,
        alert.state,
        alert.active_at_ms,
        alert.fired_at_ms,
        alert.resolved_at_ms,
        alert.keep_firing_since_ms,
    )


def replace_all(state: StateDB, rules: Sequence[RuleState]) -> None:
    """Rewrite the whole state: after a load, rules may have other identities.

    Raises:
        StoreError: As `save`.
    """
    known = [(_key(rule.identity), rule.expr) for rule in rules]
    rows = [
        (_key(rule.identity), *_row(alert))
        for rule in rules
        for alert in rule.active.values()
    ]

    def change(db: sqlite3.Connection) -> None:
        db.execute("DELETE FROM rule")
        db.execute("DELETE FROM alert")
        db.executemany("INSERT INTO rule VALUES (?, ?)", known)
        db.executemany("INSERT INTO alert VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    state.commit(change)
