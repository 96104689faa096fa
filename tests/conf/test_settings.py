"""The WATCHROOM setting: what is refused, by which name, with which remedy."""

import pytest

from watchroom import conf
from watchroom.errors import ConfigError
from watchroom.runtime import directory

URL = "https://hooks.example/T0/B0/very-secret"


@pytest.mark.parametrize(
    ("raw", "field", "part"),
    [
        ({"SITE": []}, "WATCHROOM", "did you mean 'SITES'?"),
        ({"SITES": "https://a.example"}, "WATCHROOM.SITES", "not a list"),
        (
            {"SITES": ["https://ops:very-secret@a.example/"]},
            "WATCHROOM.SITES[0]",
            "a user or a password",
        ),
        (
            {"RECEIVERS": {"a": {"url": "http://very-secret@localhost/"}}},
            "WATCHROOM.RECEIVERS.a.url",
            "by 'secret'",
        ),
        (
            {"HEALTH": {"url": "http://ops:very-secret@localhost:8000"}},
            "WATCHROOM.HEALTH.url",
            "in plain text",
        ),
        ({"DISKS": "/srv"}, "WATCHROOM.DISKS", "not a list"),
        ({"DISKS": ["srv"]}, "WATCHROOM.DISKS[0]", "isn't an absolute path"),
        ({"EXPORTER": "9000"}, "WATCHROOM.EXPORTER", "host:port"),
        ({"MAX_SERIES": 5}, "WATCHROOM.MAX_SERIES", "between"),
        ({"RECEIVERS": {"a": {}}}, "WATCHROOM.RECEIVERS.a", "exactly one"),
        (
            {"RECEIVERS": {"a": {"secret": "x", "priority": "high"}}},
            "WATCHROOM.RECEIVERS.a.priority",
            "P1",
        ),
        ({"RECEIVERS": {"a": {"url": URL}}}, "WATCHROOM.RECEIVERS.a.url", "secret"),
        (
            {"RECEIVERS": {"a": {"secret": "../x"}}},
            "WATCHROOM.RECEIVERS.a.secret",
            "file name",
        ),
        (
            {"VITALS": {"HighLatency": {"limit": "fast"}}},
            "WATCHROOM.VITALS.HighLatency.limit",
            "not a limit",
        ),
        (
            {"VITALS": {"HighLatency": {"ignored": {}}}},
            "WATCHROOM.VITALS.HighLatency",
            "unknown key 'ignored'",
        ),
    ],
)
def test_what_is_wrong_is_named(raw, field, part):
    with pytest.raises(ConfigError) as caught:
        conf.load(raw, {})

    assert caught.value.field == field
    assert part in str(caught.value)
    assert "very-secret" not in str(caught.value)


def test_the_environment_wins_over_the_setting_and_names_the_project():
    env = {"DJANGO_SETTINGS_MODULE": "shop.settings", "WATCHROOM_RUNTIME_DIR": "/run/x"}

    found = conf.load({"RUNTIME_DIR": "/run/y"}, env)

    assert (found.project, found.runtime_dir) == ("shop", "/run/x")
    assert conf.load({}, {"WATCHROOM_ENABLED": "0"}).enabled is False


def test_a_limit_reaches_the_edges():
    found = conf.load({"VITALS": {"HighLatency": {"limit": "3s"}}}, {})

    assert found.limits == {"HighLatency": (3.0,)}


def test_a_runtime_directory_of_another_user_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(directory, "MEMORY", tmp_path)  # stands in for /dev/shm
    place = tmp_path / "watchroom-0-shop"
    place.symlink_to("/tmp")

    with pytest.raises(ConfigError, match="another user"):
        directory.prepare(place)


def test_a_runtime_directory_is_made_for_the_group(tmp_path):
    place = tmp_path / "a" / "b"

    directory.prepare(place)
    directory.prepare(place)

    assert place.stat().st_mode & 0o7777 == 0o2770


@pytest.mark.parametrize(
    ("said", "share"),
    [(99.9, 0.999), ("99.5%", 0.995), ("99.95", 0.9995), (0.999, 0.999), (95, 0.95)],
)
def test_an_objective_is_a_percentage_or_a_share(said: object, share: float) -> None:
    assert conf.load({"OBJECTIVE": said}, {}).objective == share


@pytest.mark.parametrize("said", [100, 90, "lots", True, [99.9], 0, "0.999", -99.9])
def test_an_objective_that_cannot_be_is_refused(said: object) -> None:
    with pytest.raises(ConfigError, match=r"OBJECTIVE.*99\.9") as caught:
        conf.load({"OBJECTIVE": said}, {})
    assert caught.value.hint
