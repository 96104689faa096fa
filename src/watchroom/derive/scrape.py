"""prometheus.yml: the app, its public sites, the drills, and who delivers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchroom.formats.prometheus import (
    Alerting,
    AlertmanagerConfig,
    Global,
    HttpSdConfig,
    Prometheus,
    ScrapeConfig,
    StaticConfig,
)
from watchroom.formats.receivers import Authorization
from watchroom.formats.relabel import RelabelConfig
from watchroom.units import format_duration, parse_duration

if TYPE_CHECKING:
    from watchroom.derive.plan import Plan
    from watchroom.derive.site import Site

# Prometheus reads it as a file; the monitor finds its own token without it.
TOKEN_FILE = "secrets/watchroom_token"  # noqa: S105 - a path
RULE_FILES = ("rules/*.yml", "local/rules/*.yml")


def scrape(plan: Plan) -> Prometheus:
    """Return the scrape configuration of a plan."""
    site = plan.site
    interval = site.inputs.interval
    alertmanager = [site.inputs.alertmanager]
    jobs = [
        ScrapeConfig(
            job_name="app",
            honor_timestamps=False,
            authorization=_token(site),
            static_configs=[
                StaticConfig(targets=[site.exporter], labels=plan.target_labels)
            ],
        )
    ]
    if site.sites:
        jobs.append(_sites(plan))
    jobs.append(_drills(plan))
    # The embedded monitor answers this one itself: there it is the Alertmanager.
    jobs.append(
        ScrapeConfig(
            job_name="alertmanager",
            honor_timestamps=False,
            static_configs=[
                StaticConfig(targets=alertmanager, labels=plan.target_labels)
            ],
        )
    )
    return Prometheus(
        global_=Global(
            scrape_interval=interval,
            scrape_timeout=format_duration(min(parse_duration(interval), 10.0)),
            evaluation_interval=interval,
            external_labels={"env": site.environment, "project": site.project},
        ),
        rule_files=list(RULE_FILES),
        alerting=Alerting(
            alertmanagers=[
                AlertmanagerConfig(static_configs=[StaticConfig(targets=alertmanager)])
            ]
        ),
        scrape_configs=jobs,
    )


def _sites(plan: Plan) -> ScrapeConfig:
    site = plan.site
    return ScrapeConfig(
        job_name="site",
        metrics_path="/probe",
        params={"module": ["http_2xx"]},
        honor_timestamps=False,
        authorization=_token(site),
        static_configs=[
            StaticConfig(targets=list(site.sites), labels=plan.target_labels)
        ],
        relabel_configs=[
            RelabelConfig(source_labels=["__address__"], target_label="__param_target"),
            RelabelConfig(source_labels=["__param_target"], target_label="instance"),
            RelabelConfig(target_label="__address__", replacement=site.exporter),
        ],
    )


def _drills(plan: Plan) -> ScrapeConfig:
    site = plan.site
    return ScrapeConfig(
        job_name="drill",
        honor_timestamps=False,
        authorization=_token(site),
        http_sd_configs=[
            HttpSdConfig(
                url=f"http://{site.exporter}/drill/targets",
                refresh_interval=site.inputs.interval,
                authorization=_token(site),
            )
        ],
        relabel_configs=[
            RelabelConfig(target_label=name, replacement=value.replace("$", "$$"))
            for name, value in plan.target_labels.items()
        ],
    )


def _token(site: Site) -> Authorization | None:
    if site.exporter_is_local:
        return None
    return Authorization(credentials_file=TOKEN_FILE)
