"""The demo's PostgreSQL and Redis: claimed, or refused with what to do."""

from __future__ import annotations

import importlib.util
import socket
from pathlib import Path

import pytest
from examples.ledger import services
from tests.support.redis_server import redis_server

from watchroom.errors import ConfigError

SETUP = Path(__file__).parents[2] / "tools" / "setup.py"


@pytest.fixture
def nobody():
    """A port that refuses: bound, and nothing listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_without_urls_nothing_is_claimed() -> None:
    assert not services.claim({})
    assert not services.claim({"DATABASE_URL": "sqlite:////tmp/x.db"})


@pytest.mark.parametrize(
    ("variable", "url", "says"),
    [
        ("DATABASE_URL", "postgres://u:hush@127.0.0.1:{}/ledger", "PostgreSQL at"),
        ("REDIS_URL", "redis://:hush@127.0.0.1:{}/3", "Redis at"),
    ],
)
def test_a_server_that_does_not_answer_is_named_without_its_password(
    nobody, variable, url, says
) -> None:
    with pytest.raises(ConfigError) as caught:
        services.claim({variable: url.format(nobody)})
    text = str(caught.value)
    assert variable in text
    assert f"{says} 127.0.0.1:{nobody}/" in text
    assert "unset the variable" in text
    assert "hush" not in text


def test_a_redis_in_use_is_refused_and_its_own_is_emptied() -> None:
    import redis

    with redis_server() as url, redis.Redis.from_url(url) as client:
        client.set("theirs", "1")
        with pytest.raises(ConfigError, match="something else: 1 keys"):
            services.claim({"REDIS_URL": url})
        assert client.get("theirs") == b"1"
        client.delete("theirs")
        assert "Redis at 127.0.0.1" in services.claim({"REDIS_URL": url})
        client.lpush("celery", "a task of the last demo")
        services.claim({"REDIS_URL": url})
        assert not client.exists("celery")


def test_a_database_in_use_is_refused(own_postgres) -> None:
    import psycopg

    database = {"DATABASE_URL": own_postgres}
    assert "PostgreSQL at 127.0.0.1" in services.claim(database)
    with psycopg.connect(own_postgres, autocommit=True) as connection:
        connection.execute("CREATE TABLE thesis (page int)")
        with pytest.raises(ConfigError, match="holds something else: thesis"):
            services.claim(database)
        # As after a demo: the sample app's tables among them.
        connection.execute("CREATE TABLE billing_invoice (id int)")
        services.claim(database)
        connection.execute("DROP TABLE thesis, billing_invoice")


@pytest.mark.parametrize(
    ("environ", "more"),
    [
        ({}, []),
        ({"DATABASE_URL": "sqlite:///x"}, []),
        ({"DATABASE_URL": "postgres://x"}, ["postgresql"]),
        ({"REDIS_URL": "redis://x"}, ["redis"]),
    ],
)
def test_make_demo_installs_what_the_urls_need(environ, more) -> None:
    spec = importlib.util.spec_from_file_location("setup_tool", SETUP)
    setup = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(setup)
    assert setup.groups("demo", environ) == ["demo", *more]
