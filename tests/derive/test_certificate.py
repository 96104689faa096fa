"""The rules of certificates on what either prober exports, in promtool's eyes."""

import pytest
from tests.support.plans import planned
from tests.support.promtool import case, check, firing, needed

DAY = 86400
CHAIN = "probe_ssl_last_chain_expiry_timestamp_seconds"
SENT = "probe_ssl_earliest_cert_expiry"
LIFE = "probe_ssl_earliest_cert_lifetime_seconds"
# What blackbox_exporter says of a chain that it was told not to verify: the year 1.
YEAR_1 = -62135596800
PROBES = {
    "blackbox: an expired cross-signed root beside a good chain": (
        {CHAIN: 335 * DAY, SENT: -5 * DAY}, 0, 0),
    "blackbox: the chain ends soon": ({CHAIN: 3 * DAY, SENT: -5 * DAY}, 1, 1),
    "blackbox: verification off, ends soon": ({CHAIN: YEAR_1, SENT: 3 * DAY}, 1, 1),
    "blackbox: verification off, ends late": ({CHAIN: YEAR_1, SENT: 90 * DAY}, 0, 0),
    "blackbox before 0.17": ({SENT: 20 * DAY}, 1, 0),
    "ours: good": ({CHAIN: 60 * DAY, SENT: 60 * DAY, LIFE: 90 * DAY}, 0, 0),
    "ours: 10 days of 90": ({CHAIN: 10 * DAY, SENT: 10 * DAY, LIFE: 90 * DAY}, 1, 0),
    "ours: 20 days of 47": ({CHAIN: 20 * DAY, SENT: 20 * DAY, LIFE: 47 * DAY}, 0, 0),
    "ours: nothing verifies": ({SENT: -2 * DAY, LIFE: 90 * DAY}, 1, 1),
    # After 5 minutes; a failed verification leaves one series, or none at all.
    "ours: good, then an expired one": (
        {CHAIN: f"{60 * DAY}+0x19 stale", SENT: f"{60 * DAY}+0x19 {-DAY}+0x100"}, 1, 1),
    "blackbox: good, then an expired one": (
        {CHAIN: f"{60 * DAY}+0x19 stale", SENT: f"{60 * DAY}+0x19 stale"}, 0, 0),
    "blackbox: short, then nothing": (
        {CHAIN: f"{3 * DAY}+0x19 stale", SENT: f"{-DAY}+0x19 stale"}, 1, 1),
}  # fmt: skip


def values(told):
    """Return a series' values in promtool's notation, 15 s apart."""
    return told if isinstance(told, str) else f"{told}+0x120"


@needed
@pytest.mark.judge
def test_the_chain_that_verifies_counts_and_only_without_one_what_was_sent(tmp_path):
    labels = '{job="site", instance="https://shop.example/"}'
    cases = [
        case(
            name,
            {f"{metric}{labels}": values(value) for metric, value in told.items()},
            firing("CertificateExpiring", "25m", warned, job="site"),
            firing("CertificateExpiringSoon", "25m", paged, job="site"),
        )
        for name, (told, warned, paged) in PROBES.items()
    ]
    # `time()` is 0 at the beginning, so an end is a number of seconds from there.
    check(tmp_path, planned(interval="15s"), {"watchroom.certificate"}, cases)
