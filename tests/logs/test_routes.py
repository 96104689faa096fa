"""A route is written as the path that it stands for."""

from __future__ import annotations

import pytest

from watchroom.context.route import written


@pytest.mark.parametrize(
    ("route", "path"),
    [
        ("", "/"),
        ("/", "/"),
        ("api/customers/<int:pk>/", "/api/customers/<int:pk>/"),
        ("wiki/Foo_(bar)/", "/wiki/Foo_(bar)/"),
        ("^customers/(?P<pk>[0-9]+)/$", "/customers/<pk>/"),
        (r"^a/(\d+)/b(?:/(?P<x>[^/)]+))?/$", "/a/<var>/b/<x>/"),
        (r"^files\.json$", "/files.json"),
        (r"api/^v(?P<v>(1|2))/x/(?=y)", "/api/v<v>/x/"),
        (r"^x/(?P<a>\w{3,})/\Z", "/x/<a>/"),
        ("^broken/(", "/broken/<var>"),
    ],
)
def test_a_pattern_names_what_it_captures(route, path):
    assert written(route) == path
