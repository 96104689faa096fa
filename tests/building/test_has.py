"""What a project has decides which vitals apply to it."""

from types import SimpleNamespace

import pytest

from watchroom import conf
from watchroom.cli.project import _has

LITE = {"ENGINE": "django.db.backends.sqlite3", "NAME": "/srv/shop.db"}
POSTGRES = {"ENGINE": "django.db.backends.postgresql", "NAME": "shop"}
MEMORY = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}


@pytest.mark.parametrize(
    ("databases", "sites", "expected"),
    [
        ({}, (), set()),
        ({"default": MEMORY}, (), {"database"}),
        ({"default": LITE}, (), {"database", "asked_database"}),
        (
            {"default": LITE, "other": POSTGRES},
            (),
            {"database", "asked_database", "postgresql"},
        ),
        ({}, ("http://shop.example/",), {"sites"}),
        ({}, ("http://a.example/", "https://b.example/"), {"sites", "https"}),
    ],
)
def test_only_what_is_configured_applies(databases, sites, expected):
    settings = SimpleNamespace(DATABASES=databases, CACHES={})
    found = set(_has(settings, conf.Settings(sites=sites)))
    known = {"sites", "https", "database", "asked_database", "postgresql"}
    assert found & known == expected
