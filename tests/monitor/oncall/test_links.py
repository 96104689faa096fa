"""The link in a page: ours, for one incident, for three days."""

from __future__ import annotations

from watchroom.monitor.oncall.links import LASTS_SECONDS, Signer

NOW = 1_700_000_000.0
OPENED = 1_699_999_000_123


def test_a_link_holds_for_its_incident_and_its_time():
    signer = Signer("the token of this monitor")
    name = signer.name(31, OPENED, NOW)
    assert signer.read(name, NOW) == (31, OPENED, False)
    assert signer.read(name, NOW + LASTS_SECONDS + 1) == (31, OPENED, True)
    assert "token" not in name


def test_any_other_link_is_not_ours():
    signer = Signer("the token of this monitor")
    name = signer.name(31, OPENED, NOW)
    number, opened, until, seal = name.split("-", 3)
    assert Signer("another token").read(name, NOW) is None
    for wrong in (
        f"32-{opened}-{until}-{seal}",
        f"{number}-{OPENED + 1}-{until}-{seal}",  # of another state.db
        f"{number}-{opened}-{int(until) + 1}-{seal}",
        f"{name[:-1]}{'B' if name[-1] == 'A' else 'A'}",
        f"0{name}",
        f"{name}x",
        f" {name}",
        "",
        "31",
        f"{number}-{opened}-{until}-{'ä' * 22}",
        f"{'9' * 40}-{opened}-{until}-{seal}",
    ):
        assert signer.read(wrong, NOW) is None, wrong
