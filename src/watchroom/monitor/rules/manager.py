"""All rule groups: loaded, reloaded and evaluated without losing an alert."""

from __future__ import annotations

import contextlib
import threading
import urllib.parse
from typing import TYPE_CHECKING

from watchroom.errors import ConfigError, StoreError
from watchroom.monitor.rules import state as rule_memory
from watchroom.monitor.rules.alerting import RESOLVED_RETENTION_MS, AlertRule, Identity
from watchroom.monitor.rules.group import GroupServices, RuleGroup, outgoing
from watchroom.monitor.rules.loaded import LoadedGroups
from watchroom.monitor.rules.lookback import lookbacks
from watchroom.monitor.rules.recording import RecordRule
from watchroom.monitor.rules.views import Evaluation, GroupKey
from watchroom.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from watchroom.formats.rulefile import Rule, RuleFile
    from watchroom.monitor.alert import Alert
    from watchroom.monitor.rules.state import RuleState
    from watchroom.monitor.state.database import StateDB
    from watchroom.monitor.store import Store
    from watchroom.promql.engine import Engine
    from watchroom.promql.model import Labels


class RuleManager:
    """All rule groups and the alerts they have active.

    `load` may be called from any thread, at start and at every reload. `evaluate` is
    for a pool: different groups at once, the same group one after the other (a lock per
    group). `loaded` is read from any thread.

    Args:
        state: Where pending and firing alerts are kept.
        store: Where records and ALERTS go.
        engine: Answers expressions and the templates' `query`.
        loaded: Has the active groups, for their readers.
        sink: Called in the evaluating (or loading) thread with every firing or just
            resolved alert, after its state is on disk: `Notifier.submit`.
        external_url: The base of generator URLs and of templates' `externalURL`.
    """

    def __init__(
        self,
        *,
        state: StateDB,
        store: Store,
        engine: Engine,
        sink: Callable[[Sequence[Alert]], None],
        loaded: LoadedGroups | None = None,
        external_url: str = "",
    ) -> None:
        self._services = GroupServices(
            state, store, engine, {}, external_url, self._link
        )
        self._sink = sink
        self._lock = threading.Lock()
        self.loaded = loaded or LoadedGroups()
        self._retired: list[RuleState] = []
        self._started = False
        self._counts = dict.fromkeys(("evaluations", "seconds", "samples"), 0.0)
        self._counting = threading.Lock()
        self._past = {"failures": 0, "state_failures": 0}

    def _link(self, expr: str) -> str:
        base = self._services.external_url.rstrip("/")
        return f"{base}/graph?g0.expr={urllib.parse.quote_plus(expr)}&g0.tab=1"

    def load(
        self,
        files: Mapping[str, RuleFile],
        *,
        at_ms: int,
        interval_seconds: float,
        external_labels: Mapping[str, str],
    ) -> None:
        """Use these rule files from now on: file name → ``rulefile.RuleFile``.

        Rules that stay keep their alerts: matched by alert name and labels, first in
        the same file and group, then with the same expression anywhere, then anywhere.
        At the first call the alerts of the last process come back from `state` as they
        were. Alerts whose rule is gone end now.

        Args:
            files: Parsed rule files by the name that views show.
            at_ms: Now.
            interval_seconds: The evaluation interval of groups that name none.
            external_labels: For templates, and joined to every alert that goes out.

        Raises:
            ConfigError: A template does not parse, a group stands twice in a file;
                nothing has changed then.
        """
        fresh = _built(files, interval_seconds)
        with self._lock, contextlib.ExitStack() as locks:
            for group in (*self.loaded.groups.values(), *fresh.values()):
                locks.enter_context(group.lock)
            # Resolved alerts must carry the labels with which they were sent.
            before = self._services.external_labels or external_labels
            self._services = self._services._replace(
                external_labels=dict(external_labels)
            )
            old = self._before() + self._retired
            left = _adopt(old, fresh)
            self._continue_groups(fresh, at_ms)
            self._retired = _ended(left, at_ms, forget=self._started)
            self.loaded.use(fresh)
            for group in fresh.values():
                group.refresh()
            self._started = True
            self._write()
            alerts = self._alerts_to_send(before, at_ms)
            if alerts:  # before an evaluation says that one of them has ended
                self._sink(alerts)

    def _before(self) -> list[RuleState]:
        """Return the rules used until now, or those of the last process."""
        if not self._started:
            return rule_memory.recall(self._services.state)
        return [
            rule_memory.RuleState(rule.identity, rule.expr, rule.active)
            for rule in _alert_rules(self.loaded.groups)
        ]

    def _continue_groups(self, fresh: dict[GroupKey, RuleGroup], at_ms: int) -> None:
        """Carry clocks and series over; end the series that no rule gives any more."""
        beat = None if self._started else self._services.state.last_beat_ms()
        for key, group in fresh.items():
            if key in self.loaded.groups:
                group.inherit(self.loaded.groups[key])
            elif beat is not None:
                group.last_ms = min(beat, at_ms)
                _look_back(group, fresh)
        going = {
            labels
            for group in fresh.values()
            for rule in group.rules
            for labels in rule.series
        }
        for key, group in self.loaded.groups.items():
            ended = group.ended.union(*(rule.series for rule in group.rules))
            if key in fresh:
                fresh[key].ended |= self._carry_records(
                    group, fresh[key], ended - going
                )
            else:
                group.ended = ended - going
                for rule in group.rules:
                    rule.series = set()
                group.end(self._services, at_ms)
                for name in self._past:
                    self._past[name] += getattr(group, name)
            group.retired = True

    @staticmethod
    def _carry_records(
        old: RuleGroup, new: RuleGroup, ended: set[Labels]
    ) -> set[Labels]:
        """Let unchanged recording rules continue; return the series that end."""
        for rule in new.rules:
            for before in old.rules:
                if (
                    isinstance(rule, RecordRule)
                    and isinstance(before, RecordRule)
                    and (rule.name, rule.labels) == (before.name, before.labels)
                ):
                    rule.series |= before.series
                    ended -= before.series
        return ended

    def _write(self) -> None:
        rules = [rule for rule in self._before() + self._retired if rule.active]
        try:
            rule_memory.replace_all(self._services.state, rules)
        except StoreError:  # the new rules are loaded, and page all the same
            for group in self.loaded.groups.values():
                group.unsaved()

    def _alerts_to_send(
        self, external_labels: Mapping[str, str], at_ms: int
    ) -> list[Alert]:
        """Return what the dispatcher has to get after a load."""
        now = self._services.external_labels
        alerts = []
        for rule in self._before() + self._retired:
            link = self._link(rule.expr)
            for alert in rule.active.values():
                if alert.state == "pending":
                    continue
                alerts.append(outgoing(alert, now, link, at_ms))
                if dict(now) != dict(external_labels) and alert.state == "firing":
                    # Under its old labels it is another alert, now resolved.
                    old = outgoing(alert, external_labels, link, at_ms)
                    alerts.append(old._replace(ends_at_ms=at_ms))
        return alerts

    def groups(self) -> list[tuple[GroupKey, float]]:
        """Return the groups in file order with their intervals in seconds."""
        return [(key, g.interval_ms / 1000) for key, g in self.loaded.groups.items()]

    def evaluate(self, key: GroupKey, at_ms: int) -> Evaluation | None:
        """Evaluate one group at `at_ms`: blocking, for a worker thread.

        Returns None when the group is gone or `at_ms` is not after its last evaluation.
        A rule that fails is reported in its view; the others go on.

        Raises:
            StoreError: The sample store refused the row; alerts went out all the same.
        """
        group = self.loaded.groups.get(key)
        if group is None:
            return None
        done = group.evaluate(self._services, at_ms, self._sink)
        if done is not None:
            with self._counting:
                self._counts["evaluations"] += 1
                self._counts["seconds"] += done.seconds
                self._counts["samples"] += done.samples
        return done

    def stats(self) -> dict[str, float]:
        """Return totals: evaluations, seconds, samples, failures, state_failures."""
        totals: dict[str, float] = dict(self._counts)
        for name, past in self._past.items():
            totals[name] = past + sum(
                getattr(group, name) for group in self.loaded.groups.values()
            )
        return totals


def _alert_rules(groups: Mapping[GroupKey, RuleGroup]) -> list[AlertRule]:
    rules = [rule for group in groups.values() for rule in group.rules]
    return [rule for rule in rules if isinstance(rule, AlertRule)]


def _built(
    files: Mapping[str, RuleFile], interval_seconds: float
) -> dict[GroupKey, RuleGroup]:
    """Return the groups of `files`; nothing of them has run."""
    groups: dict[GroupKey, RuleGroup] = {}
    counts: dict[tuple[object, ...], int] = {}
    for file, content in files.items():
        for group in content.groups:
            key = GroupKey(file, group.name)
            if key in groups:
                raise ConfigError(
                    f"the group {group.name!r} appears twice", file=file, field="groups"
                )
            seconds = parse_duration(group.interval) if group.interval else None
            groups[key] = RuleGroup(
                key,
                [_rule(key, rule, counts) for rule in group.rules],
                interval_ms=round((seconds or interval_seconds) * 1000),
                limit=group.limit or 0,
            )
    _measure(groups)
    return groups


def _rule(
    key: GroupKey, rule: Rule, counts: dict[tuple[object, ...], int]
) -> AlertRule | RecordRule:
    if rule.record:
        return RecordRule(rule.record, rule.expr, rule.labels)
    labels = tuple(sorted(rule.labels.items()))
    equals = (*key, rule.alert, labels)
    counts[equals] = counts.get(equals, 0) + 1
    try:
        return AlertRule(
            Identity(*equals, counts[equals] - 1),
            rule.expr,
            for_ms=round(parse_duration(rule.for_) * 1000),
            keep_firing_for_ms=round(parse_duration(rule.keep_firing_for) * 1000),
            annotations=rule.annotations,
        )
    except ConfigError as error:
        raise ConfigError(
            error.what, file=key.file, line=rule.line, field=f"alert {rule.alert}"
        ) from error


def _measure(groups: Mapping[GroupKey, RuleGroup]) -> None:
    """Set on every alerting rule how far back it looks, records included."""
    rules = [rule for group in groups.values() for rule in group.rules]
    records = {rule.name: rule.expr for rule in rules if isinstance(rule, RecordRule)}
    for rule in _alert_rules(groups):
        windows = lookbacks(rule.expr, records)
        rule.windows_ms = tuple(sorted(round(back * 1000) for back in windows))


def _look_back(group: RuleGroup, groups: Mapping[GroupKey, RuleGroup]) -> None:
    """Let records that the last process wrote end, if no rule gives them any more."""
    names = [
        r.name for g in groups.values() for r in g.rules if isinstance(r, RecordRule)
    ]
    for rule in group.rules:
        if isinstance(rule, RecordRule):
            rule.unknown = names.count(rule.name) == 1


def _adopt(
    old: Sequence[RuleState], fresh: Mapping[GroupKey, RuleGroup]
) -> list[RuleState]:
    """Give every new rule the alerts of the old one it continues; return the rest."""
    unclaimed = list(old)
    rules = _alert_rules(fresh)
    passes: list[Callable[[AlertRule, RuleState], bool]] = [
        lambda rule, before: (
            rule.identity == before.identity and rule.expr == before.expr
        ),
        lambda rule, before: rule.identity[:4] == before.identity[:4],
        lambda rule, before: (
            rule.identity[2:4] == before.identity[2:4] and rule.expr == before.expr
        ),
        lambda rule, before: rule.identity[2:4] == before.identity[2:4],
    ]
    for fits in passes:
        for rule in list(rules):
            continued = next(
                (before for before in unclaimed if fits(rule, before)), None
            )
            if continued is not None:
                rule.adopt(continued.active)
                unclaimed = [before for before in unclaimed if before is not continued]
                rules.remove(rule)
    return unclaimed


def _ended(
    retired: Sequence[RuleState], at_ms: int, *, forget: bool
) -> list[RuleState]:
    """Resolve the alerts of rules that are gone; forget them after 15 minutes.

    Not at a start: the last process may not have sent their resolution.
    """
    remaining = []
    for rule in retired:
        active = dict(rule.active)
        for labels, alert in rule.active.items():
            if alert.state == "firing":
                alert.state = "inactive"
                alert.resolved_at_ms = at_ms
            ended = alert.resolved_at_ms
            if ended is None or (forget and at_ms - ended > RESOLVED_RETENTION_MS):
                del active[labels]
        if active:
            remaining.append(rule._replace(active=active))
    return remaining
