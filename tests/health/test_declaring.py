"""A project's own checks, and what is refused with what to do about it."""

import pytest

from watchroom import conf
from watchroom.errors import ConfigError
from watchroom.health import checks


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    monkeypatch.setattr(checks, "_DECLARED", checks._Declared())  # one list a process


def test_a_declared_check_keeps_what_it_was_given():
    @checks.health_check("books", hard=False, timeout="500ms", ttl="10s")
    def books():
        return True

    (made,) = checks._DECLARED.checks.values()
    assert made[:1] + made[2:5] == ("books", False, 0.5, 10.0)
    assert made.run(1.0) is None
    assert books() is True


def test_the_same_module_may_be_imported_twice():
    def books():
        return True

    checks.health_check("books")(books)
    checks.health_check("books")(books)
    with pytest.raises(ConfigError, match="defined twice"):
        checks.health_check("books")(lambda: True)


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"name": "No Name"}, "isn't a valid name"),
        ({"name": "a", "timeout": "0s"}, "timeout over 60 s"),
        ({"name": "a", "timeout": "soon"}, "not a duration"),
        ({"name": "a", "ttl": "2h"}, "an hour"),
    ],
)
def test_a_declaration_that_will_not_do_is_refused(given, part):
    with pytest.raises(ConfigError, match=part):
        checks.health_check(**given)


def test_an_async_check_is_refused():
    async def books():
        return True

    with pytest.raises(ConfigError, match="async"):
        checks.health_check("books")(books)


@pytest.mark.parametrize(
    ("health", "field", "part"),
    [
        ({"chekcs": {}}, "WATCHROOM.HEALTH", "did you mean 'checks'"),
        ({"checks": {"db": {"hrad": True}}}, "WATCHROOM.HEALTH.checks.db", "'hard'"),
        (
            {"checks": {"db": {"hard": 1}}},
            "WATCHROOM.HEALTH.checks.db.hard",
            "must be True or False",
        ),
        ({"checks": {"db": {"timeout": 1}}}, "…checks.db.timeout", "not a string"),
        ({"checks": {"db": {"timeout": "2m"}}}, "…checks.db.timeout", "60 seconds"),
        ({"checks": {"db": {"timeout": "0s"}}}, "…checks.db.timeout", "longer than 0"),
        ({"drain": "long"}, "WATCHROOM.HEALTH.drain", "not a duration"),
        ({"url": "127.0.0.1:8000"}, "WATCHROOM.HEALTH.url", "isn't an http"),
        ({"url": "unix:shop.sock"}, "WATCHROOM.HEALTH.url", "socket's path"),
        ("on", "WATCHROOM.HEALTH", "isn't a dict"),
    ],
)
def test_a_wrong_setting_is_named_with_its_remedy(health, field, part):
    with pytest.raises(ConfigError) as caught:
        conf.load({"HEALTH": health}, {})
    assert str(caught.value.field) == field.replace("…", "WATCHROOM.HEALTH.")
    assert part in str(caught.value)


def test_the_setting_is_read():
    found = conf.load(
        {
            "HEALTH": {
                "url": "http://127.0.0.1:8000/",
                "drain": "5s",
                "checks": {"cache": {"hard": True, "ttl": "10s"}, "broker": False},
            }
        },
        {},
    ).health
    assert found.url == "http://127.0.0.1:8000"
    assert found.drain == 5.0
    assert found.checks["cache"] == (True, True, None, 10.0)
    assert not found.checks["broker"].on
