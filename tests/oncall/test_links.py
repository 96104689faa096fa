"""The link in a page: ours, for one incident, for three days."""

from __future__ import annotations

from watchroom.monitor.oncall.links import LASTS_SECONDS, Signer

NOW = 1_700_000_000.0


def test_a_link_holds_for_its_incident_and_its_time():
    signer = Signer("the token of this monitor")
    name = signer.name(31, NOW)
    assert signer.read(name, NOW) == (31, False)
    assert signer.read(name, NOW + LASTS_SECONDS + 1) == (31, True)
    assert "token" not in name


def test_any_other_link_is_not_ours():
    signer = Signer("the token of this monitor")
    name = signer.name(31, NOW)
    number, until, seal = name.split("-", 2)
    assert Signer("another token").read(name, NOW) is None
    for wrong in (
        f"32-{until}-{seal}",
        f"{number}-{int(until) + 1}-{seal}",
        f"{number}-{until}-{seal[:-1]}A" if seal[-1] != "A" else f"{number}-{until}-B",
        f"0{name}",
        f"{name}x",
        f" {name}",
        "",
        "31",
        f"{number}-{until}-{'ä' * 22}",
        f"{'9' * 40}-{until}-{seal}",
    ):
        assert signer.read(wrong, NOW) is None, wrong
