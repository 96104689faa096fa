"""Whether the public sites' certificates are good, and for how long."""

from __future__ import annotations

from watchroom.catalogue.model import (
    Alert,
    Blind,
    Chart,
    Drill,
    Panel,
    Query,
    Record,
    Vital,
)
from watchroom.catalogue.prose import beside

TEXTS = beside(__name__)

# Of the chain that verifies; blackbox_exporter's name, and its value where none does is
# the year 1. Then the earliest end of what was sent counts, which watchroom's own probe
# serves for sites that are not trusted.
_EXPIRY = "probe_ssl_last_chain_expiry_timestamp_seconds"
_SENT = "probe_ssl_earliest_cert_expiry"
_LIFETIME = "probe_ssl_earliest_cert_lifetime_seconds"
_LEFT = "job_instance:certificate:seconds_left"
_WARN = "job_instance:certificate:warn_below_seconds"
_PAGE = "job_instance:certificate:page_below_seconds"
_BY = "by (job, instance)"
_DAY = 86400


def _below(share: str, most: str) -> str:
    """Return the PromQL of the smaller of a share of the lifetime and a constant.

    A certificate of 47 days that is renewed at a third of its life would otherwise warn
    every month, and one of six days always. blackbox_exporter does not export the
    lifetime; there the constant decides alone.
    """
    return (
        f"clamp_max(max {_BY} (last_over_time({_LIFETIME}[1h])) * {share}, {most})"
        f" or on (job, instance) {_LEFT} * 0 + {most}"
    )


CERTIFICATE_EXPIRING = Vital(
    title="Certificate time left",
    metrics=(_EXPIRY, _SENT, _LIFETIME, "probe_failed_due_to_certificate"),
    group="certificate",
    # A site that cannot be reached for its certificate is one fault. Not the other
    # way: what was warned of for days still pages once the site is down.
    symptom_of=("SiteDown",),
    unit="seconds",
    limit=30 * _DAY,
    needs="https",
    parameters={"page_below": str(7 * _DAY), "page_words": "7 days"},
    records=(
        # What is served now comes first, trusted or not. A probe that fails for an hour
        # does not hide what was known before.
        Record(
            _LEFT,
            f"(min {_BY} ({_EXPIRY} > 0) or min {_BY} ({_SENT})"
            f" or min {_BY} (last_over_time({_EXPIRY}[1h]) > 0)"
            f" or min {_BY} (last_over_time({_SENT}[1h]))) - time()",
        ),
        Record(_WARN, _below("1 / 3", "$limit")),
        Record(_PAGE, _below("1 / 6", "$page_below")),
    ),
    alerts=(
        Alert(
            **TEXTS.alert("CertificateExpiring"),
            expr=f"{_LEFT} < on (job, instance) {_WARN}",
            for_="15m",
            severity="warning",
            priority="P3",
            drill=Drill(
                fault=(f"{_EXPIRY} 86400+0x$steps",),
                recovery=(f"{_EXPIRY} 9999999999+0x$steps",),
                # 20 days left of 47: a third of its life is less.
                calm=(
                    f"{_EXPIRY} 1728000+0x$steps",
                    f"{_LIFETIME} 4060800+0x$steps",
                ),
            ),
        ),
        Alert(
            **TEXTS.alert("CertificateExpiringSoon"),
            expr=f"{_LEFT} < on (job, instance) {_PAGE}",
            for_="15m",
            severity="critical",
            priority="P1",
            drill=Drill(
                fault=(f"{_EXPIRY} 86400+0x$steps",),
                recovery=(f"{_EXPIRY} 9999999999+0x$steps",),
                calm=(f"{_EXPIRY} 700000+0x$steps",),
            ),
        ),
        Alert(
            **TEXTS.alert("CertificateUntrusted"),
            expr=f"max {_BY} (probe_failed_due_to_certificate) == 1",
            for_="2m",
            severity="warning",
            priority="P2",
            drill=Drill(
                fault=("probe_failed_due_to_certificate 1+0x$steps",),
                recovery=("probe_failed_due_to_certificate 0+0x$steps",),
                calm=("probe_failed_due_to_certificate 0+0x$steps",),
            ),
        ),
    ),
    panel=Panel(
        expr=f"min({_LEFT}{{$real}})",
        presence=f"count({_LEFT}{{$real}})",
        unit="s",
        bad="below",
        decimals=0,
    ),
    blind=Blind(
        **TEXTS.unseen("CertificateUnobserved"),
        job="site",
        for_="15m",
        seen=(f"{_EXPIRY} 9999999999+0x$steps",),
    ),
    charts=(
        Chart(
            **TEXTS.chart("Certificate days left"),
            row="Disks and certificates",
            queries=(
                Query(
                    "((min by (instance)"
                    f" (min_over_time({_EXPIRY}{{$targets}}[$rate_interval]) > 0)"
                    " or min by (instance)"
                    f" (min_over_time({_SENT}{{$targets}}[$rate_interval])))"
                    " - time()) / 86400",
                    "{{instance}}",
                ),
            ),
            unit="d",
            decimals=0,
        ),
    ),
)

VITALS = (CERTIFICATE_EXPIRING,)
