"""Rule groups: evaluated in order, alerts kept over reloads, restarts and gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from watchroom.monitor.alerts import Alert
    from watchroom.monitor.state import StateDB
    from watchroom.promql.model import Labels, Queryable, Value


class SampleStore(Protocol):
    """What the rules need of the store."""

    def snapshot(self) -> Queryable:
        """Return an immutable view."""
        ...

    def append(
        self,
        target: str,
        timestamp_ms: int,
        labels: Sequence[Labels],
        values: NDArray[np.float64],
    ) -> object:
        """Append one row of one target."""
        ...


class QueryEngine(Protocol):
    """What the rules and templates need of the engine."""

    def instant(self, queryable: Queryable, expr: str, at_ms: int) -> Value:
        """Return the value of `expr` at `at_ms`."""
        ...


class GroupKey(NamedTuple):
    """Names a rule group."""

    file: str
    name: str


class AlertView(NamedTuple):
    """An alert as /api/v1/alerts shows it."""

    labels: Labels
    annotations: Labels
    state: Literal["pending", "firing"]
    active_at_ms: int
    value: float
    keep_firing_since_ms: int | None


class RuleView(NamedTuple):
    """A rule as /api/v1/rules shows it (durations in seconds)."""

    type: Literal["alerting", "recording"]
    name: str
    query: str
    duration: float
    keep_firing_for: float
    labels: Labels
    annotations: Labels
    state: Literal["inactive", "pending", "firing"] | None
    alerts: Sequence[AlertView]
    health: Literal["unknown", "ok", "err"]
    last_error: str
    evaluation_seconds: float
    last_evaluation_ms: int | None


class GroupView(NamedTuple):
    """A group as /api/v1/rules shows it."""

    key: GroupKey
    interval_seconds: float
    limit: int
    rules: Sequence[RuleView]
    evaluation_seconds: float
    last_evaluation_ms: int | None


class Evaluation(NamedTuple):
    """What one evaluation of a group did."""

    key: GroupKey
    at_ms: int
    seconds: float
    samples: int
    errors: int
    alerts: Sequence[Alert]


class RuleManager:
    """All rule groups and the alerts they have active.

    `load` may be called from any thread, at start and at every reload. `evaluate` is
    for a pool: different groups at once, the same group one after the other (a lock per
    group). `views` and `alerts` read from any thread.

    Args:
        state: Where pending and firing alerts are kept.
        store: Where records and ALERTS go.
        engine: Answers expressions and the templates' `query`.
        sink: Called in the evaluating (or loading) thread with every firing or just
            resolved alert, after its state is on disk: `Notifier.submit`.
        external_url: The base of generator URLs and of templates' `externalURL`.
    """

    def __init__(
        self,
        *,
        state: StateDB,
        store: SampleStore,
        engine: QueryEngine,
        sink: Callable[[Sequence[Alert]], None],
        external_url: str = "",
    ) -> None:
        raise NotImplementedError

    def load(
        self,
        files: Mapping[str, Any],
        *,
        at_ms: int,
        interval_seconds: float,
        external_labels: Mapping[str, str],
    ) -> None:
        """Take the rule files in force from now on: file name → ``rulefile.RuleFile``.

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
        raise NotImplementedError

    def groups(self) -> list[tuple[GroupKey, float]]:
        """Return the groups in file order with their intervals in seconds."""
        raise NotImplementedError

    def evaluate(self, key: GroupKey, at_ms: int) -> Evaluation | None:
        """Evaluate one group at `at_ms`: blocking, for a worker thread.

        Returns None when the group is gone or `at_ms` is not after its last evaluation.
        A rule that fails is reported in its view; the others go on.
        """
        raise NotImplementedError

    def views(self) -> list[GroupView]:
        """Return all groups as /api/v1/rules shows them."""
        raise NotImplementedError

    def alerts(self) -> list[AlertView]:
        """Return all pending and firing alerts."""
        raise NotImplementedError

    def stats(self) -> dict[str, float]:
        """Return counters: evaluations, failures, seconds, samples, missed."""
        raise NotImplementedError
