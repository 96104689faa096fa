"""The built files, all read and checked before any of them counts."""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from watchroom.errors import ConfigError, NotSupportedError
from watchroom.formats import (
    alertmanager,
    contacts,
    grafana,
    grafana_import,
    manifest,
    masked,
    prometheus,
    rulefile,
    yamlfile,
)
from watchroom.formats.grafana_import import ImportedDashboard
from watchroom.formats.reading import matching, text_of
from watchroom.formats.routes import compile_route
from watchroom.monitor.notify.integrations import integrations
from watchroom.monitor.routing.inhibit import compile_rules as compile_inhibitions
from watchroom.monitor.rules.alerting import check_templates
from watchroom.monitor.scrape.discovery import static_groups
from watchroom.monitor.scrape.target import Job, build, job_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_MOST_DASHBOARDS = 100
_UID = re.compile(r"[A-Za-z0-9_-]{1,64}")
OVERVIEW = "watchroom-overview"


class Loaded(NamedTuple):
    """One state of the built files.

    Attributes:
        root: The directory.
        text: ``prometheus.yml`` as read, secrets masked.
        alertmanager_text: ``alertmanager.yml`` as read, secrets masked.
        dashboards: Dashboards by uid: ours, then the team's.
        refused_dashboards: Why dashboards of the team were refused; others load.
        contacts: Who is on call; empty without ``local/contacts.yml``.
        digest: Changes when any file read does.
    """

    root: Path
    prometheus: prometheus.Prometheus
    jobs: tuple[tuple[Job, prometheus.ScrapeConfig], ...]
    rules: Mapping[str, rulefile.RuleFile]
    alertmanager: alertmanager.Alertmanager
    dashboard: grafana.Dashboard | None
    dashboards: Mapping[str, ImportedDashboard]
    refused_dashboards: tuple[str, ...]
    manifest: manifest.Manifest | None
    evaluation_seconds: float
    external_labels: Mapping[str, str]
    text: str
    alertmanager_text: str
    contacts: contacts.Contacts
    digest: str

    @property
    def project(self) -> str:
        """The project's name, or ""."""
        return self.manifest.project if self.manifest else ""

    @property
    def name(self) -> str:
        """What the state directory is named by, or ""."""
        return self.manifest.name if self.manifest else ""

    @property
    def environment(self) -> str:
        """The environment's name, or ""."""
        if self.manifest:
            return self.manifest.environment
        labels = self.external_labels
        return labels.get("environment", "") or labels.get("env", "")

    def unreadable_secrets(self) -> list[str]:
        """Return a sentence for each receiver whose secret file cannot be read.

        Looked at when asked: the files may come later, or go.
        """
        return [
            f"receiver {receiver.name} gets no notifications: "
            f"{self.root / name} cannot be read"
            for receiver in self.alertmanager.receivers
            for entry in receiver.integrations().values()
            for name in entry.secrets()
            if not os.access(self.root / name, os.R_OK)
        ]

    @property
    def longest_interval(self) -> float:
        """The longest time between two scrapes in seconds, at least that of rules."""
        return max([self.evaluation_seconds, *(job.interval for job, _ in self.jobs)])

    @property
    def monitor_url(self) -> str:
        """Where people reach this monitor, or ""."""
        return (self.manifest.monitor_url or "") if self.manifest else ""

    @property
    def monitor_host(self) -> str:
        """The host of that, or ""."""
        return urlsplit(self.monitor_url).hostname or ""

    @property
    def monitor_prefix(self) -> str:
        """The path of that without the last slash: ``/watch``, or ""."""
        return urlsplit(self.monitor_url).path.rstrip("/")


class ConfigInForce:
    """The active configuration; a reload replaces all of it at once."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded


class _Reader:
    """Reads files under one root and remembers what they held."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._hash = hashlib.sha256()

    def text(self, path: Path) -> str:
        text = text_of(path)
        self._hash.update(f"{path}\0{text}\0".encode())
        return text

    def digest(self) -> str:
        return self._hash.hexdigest()


def load(root: Path) -> Loaded:
    """Return everything in the directory of built files, or nothing.

    Raises:
        ConfigError: A file is missing or wrong; it names the file and the line.
    """
    if not root.is_dir():
        raise ConfigError(
            "is not a directory", file=root, hint="make it with: watchroom build DIR"
        )
    reader = _Reader(root)
    main = root / "prometheus.yml"
    text = reader.text(main)
    config = prometheus.load(text, str(main))
    with yamlfile.placed_in(text, str(main)):
        jobs = tuple((job_of(config, job, root), job) for job in config.scrape_configs)
        _check_targets(jobs)
    routes = root / "alertmanager.yml"
    routes_text = reader.text(routes)
    routing = _routes(routes_text, routes)
    manifest_path = root / "watchroom.json"
    known = None
    if manifest_path.exists():
        known = manifest.load(reader.text(manifest_path), str(manifest_path))
    dashboards, refused = _dashboards(reader)
    with yamlfile.placed_in(text, str(main)):
        rules = _rules(reader, config)
    return Loaded(
        root=root,
        prometheus=config,
        jobs=jobs,
        rules=rules,
        alertmanager=routing,
        dashboard=dashboards[OVERVIEW].dashboard if OVERVIEW in dashboards else None,
        dashboards=dashboards,
        refused_dashboards=refused,
        manifest=known,
        evaluation_seconds=prometheus.evaluation_seconds(config.global_),
        external_labels=dict(config.global_.external_labels),
        text=masked.config(text),
        alertmanager_text=masked.config(routes_text),
        contacts=_contacts(reader, routing),
        digest=reader.digest(),
    )


def _dashboards(
    reader: _Reader,
) -> tuple[dict[str, ImportedDashboard], tuple[str, ...]]:
    """Return the dashboards by uid, and why some of the team's are not among them."""
    dashboards: dict[str, ImportedDashboard] = {}
    for path in sorted((reader.root / "grafana").glob("*.json")):
        board = grafana.load(reader.text(path), str(path))
        dashboards[board.uid] = ImportedDashboard(board, {}, path.name, own=True)
    refused: list[str] = []
    paths = sorted((reader.root / "local" / "grafana").glob("*.json"))
    for path in paths[:_MOST_DASHBOARDS]:
        try:
            imported = grafana_import.read(reader.text(path), str(path))
        except ConfigError as error:
            refused.append(str(error))
            continue
        uid = imported.dashboard.uid
        if uid in dashboards or not _UID.fullmatch(uid):
            refused.append(f"{path}: the uid {uid!r} is empty or already used")
            continue
        dashboards[uid] = imported._replace(file=path.name)
    if len(paths) > _MOST_DASHBOARDS:
        refused.append(
            f"{len(paths)} dashboards; the first {_MOST_DASHBOARDS} are read"
        )
    return dashboards, tuple(refused)


def _contacts(reader: _Reader, routing: alertmanager.Alertmanager) -> contacts.Contacts:
    path = reader.root / contacts.PATH
    if not path.exists():
        return contacts.Contacts()
    names = [receiver.name for receiver in routing.receivers]
    return contacts.load(reader.text(path), str(path), names)


def _routes(text: str, file: Path) -> alertmanager.Alertmanager:
    config = alertmanager.load(text, str(file))
    with yamlfile.placed_in(text, str(file)):
        integrations(config, file.parent)  # its templates
        compile_route(config.route)
        compile_inhibitions(config.inhibit_rules)
    return config


def _rules(
    reader: _Reader, config: prometheus.Prometheus
) -> dict[str, rulefile.RuleFile]:
    files: dict[str, rulefile.RuleFile] = {}
    for i, pattern in enumerate(config.rule_files):
        paths = matching(reader.root, pattern)
        if not paths and "*" not in pattern:
            raise NotSupportedError(
                f"{pattern!r} is missing",
                field=f"rule_files[{i}]",
                hint="Prometheus ignores that; create it, or remove the line",
            )
        for path in paths:
            try:
                name = str(path.relative_to(reader.root))
            except ValueError:
                name = str(path)
            text = reader.text(path)
            files[name] = rulefile.load(text, str(path))
            with yamlfile.placed_in(text, str(path)):
                _check_rules(files[name])
    return files


def _check_rules(file: rulefile.RuleFile) -> None:
    """Refuse the templates that our own reader refuses."""
    for i, group in enumerate(file.groups):
        for j, rule in enumerate(group.rules):
            with yamlfile.within(f"groups[{i}].rules[{j}]"):
                for part in ("labels", "annotations") if rule.alert else ():
                    with yamlfile.within(part):
                        check_templates(getattr(rule, part))


def _check_targets(jobs: Iterable[tuple[Job, prometheus.ScrapeConfig]]) -> None:
    """Refuse written targets that their relabelling leaves without an address."""
    for i, (job, entry) in enumerate(jobs):
        for j, group in enumerate(static_groups(entry.static_configs)):
            with yamlfile.within(f"scrape_configs[{i}].static_configs[{j}]"):
                try:
                    build(job, group)
                except ConfigError as error:
                    raise NotSupportedError(
                        error.what,
                        hint="Prometheus accepts it and scrapes nothing",
                    ) from None
