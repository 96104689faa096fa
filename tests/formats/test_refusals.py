"""Every loader says what is wrong, where, and what to do."""

from __future__ import annotations

import pytest

from watchroom.errors import ConfigError, NotSupportedError
from watchroom.formats import alertmanager, grafana, manifest, prometheus, rulefile

ROUTED = "receivers:\n  - name: ops\nroute:\n  receiver: ops\n"
BAD = {
    "a misspelt key": (
        alertmanager,
        "recievers:\n  - name: ops\nroute:\n  receiver: ops\n",
        (1, "recievers", "did you mean 'receivers'?"),
    ),
    "a misspelt key deep inside": (
        alertmanager,
        ROUTED + "  routes:\n    - receiver: ops\n      group_wiat: 5s\n",
        (7, "group_wiat", "did you mean 'group_wait'?"),
    ),
    "a receiver of another kind": (
        alertmanager,
        "route:\n  receiver: ops\nreceivers:\n  - name: ops\n    sns_configs: []\n",
        (5, "'sns_configs' is not supported by the embedded monitor", "Alertmanager"),
    ),
    "a route to nobody": (
        alertmanager,
        ROUTED + "  routes:\n    - receiver: opps\n",
        (6, "no receiver is named 'opps'", "known receivers: ops"),
    ),
    "a matcher that is none": (
        alertmanager,
        ROUTED + "  routes:\n    - matchers: ['severity critical']\n",
        (6, "isn't a matcher", 'severity="critical"'),
    ),
    "a regex that only Python knows": (
        alertmanager,
        ROUTED + "  routes:\n    - matchers: ['job=~\"(?=a)b\"']\n",
        (6, "isn't a valid regular expression", ""),
    ),
    "a webhook with two addresses": (
        alertmanager,
        (
            "route: {receiver: a}\nreceivers:\n  - name: a\n    webhook_configs:\n"
            "      - url: http://x\n        url_file: secrets/x\n"
        ),
        (5, "exactly one of 'url' and 'url_file'", ""),
    ),
    "metric_relabel_configs": (
        prometheus,
        "scrape_configs:\n  - job_name: a\n    metric_relabel_configs: []\n",
        (3, "metric_relabel_configs", ""),
    ),
    "a duration in words": (
        prometheus,
        "global:\n  scrape_interval: five\n",
        (2, "'five' is not a duration", "30s"),
    ),
    "a time-out longer than the interval": (
        prometheus,
        (
            "scrape_configs:\n  - job_name: a\n    scrape_interval: 5s\n"
            "    scrape_timeout: 10s\n"
        ),
        (4, "longer than scrape_interval", ""),
    ),
    "a list for a text": (
        prometheus,
        "scrape_configs:\n  - job_name: [7]\n",
        (2, "must be a string, not a list", ""),
    ),
    "two jobs of one name": (
        prometheus,
        "scrape_configs:\n  - job_name: a\n  - job_name: a\n",
        (3, "two jobs are named 'a'", ""),
    ),
    "a key twice": (
        prometheus,
        "global: {}\nglobal: {}\n",
        (2, "key 'global' is defined twice", ""),
    ),
    "no YAML": (prometheus, "global: [\n", (2, "not YAML", "")),
    "PromQL that does not parse": (
        rulefile,
        "groups:\n  - name: g\n    rules:\n      - record: a\n        expr: sum(\n",
        (5, "can't be parsed", ""),
    ),
    "a rule that is both": (
        rulefile,
        (
            "groups:\n  - name: g\n    rules:\n"
            "      - record: a\n        alert: b\n        expr: up\n"
        ),
        (4, "exactly one of 'alert' and 'record'", ""),
    ),
    "a rule file with a misspelt key": (
        rulefile,
        (
            "groups:\n  - name: g\n    rules:\n"
            "      - alert: a\n        expr: up\n        anotations: {}\n"
        ),
        (6, "anotations", "did you mean 'annotations'?"),
    ),
    "two groups of one name": (
        rulefile,
        "groups:\n  - name: g\n  - name: g\n",
        (3, "two groups are named 'g'", ""),
    ),
    "two panels of one id": (
        grafana,
        (
            '{"uid": "u", "title": "t", "panels": [\n'
            '{"id": 1, "title": "a"},\n{"id": 1, "title": "b"}]}'
        ),
        (3, "two panels have the id 1", ""),
    ),
    "a panel with an unknown key": (
        grafana,
        '{"uid": "u", "title": "t", "panels": [\n{"id": 1, "title": "a", "titel": 1}]}',
        (2, "titel", "did you mean 'title'?"),
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_by_file_line_and_remedy(name):
    module, text, (line, what, hint) = BAD[name]
    with pytest.raises(ConfigError) as caught:
        module.load(text, "some.yml")
    assert caught.value.file == "some.yml"
    assert caught.value.line == line
    assert what in str(caught.value)
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', '{"format": 2}'])
def test_what_is_no_manifest_of_ours_asks_for_a_build(text):
    with pytest.raises(ConfigError) as caught:
        manifest.load(text, "watchroom.json")
    assert "watchroom build" in (caught.value.hint or "")


@pytest.mark.parametrize("module", [prometheus, rulefile])
def test_an_empty_file_is_an_empty_configuration(module):
    loaded = module.load("", "empty.yml")
    assert module.load(module.dump(loaded), "again.yml") == loaded


# Known to the server, not to us: the hint says what to do, never the key again.
ELSEWHERE = {
    "labels": (rulefile, "groups: [{name: g, labels: {a: b}}]"),
    "query_offset": (rulefile, "groups: [{name: g, query_offset: 5m}]"),
    "name": (
        alertmanager,
        "route: {receiver: a}\nreceivers: [{name: a}]\ninhibit_rules: [{name: x}]",
    ),
    "http_config": (
        alertmanager,
        "global: {http_config: {}}\nroute: {receiver: a}\nreceivers: [{name: a}]",
    ),
    "tls_config": (
        alertmanager,
        (
            "route: {receiver: a}\nreceivers:\n- name: a\n  webhook_configs:\n"
            "  - {url: 'http://h/', http_config: {tls_config: {}}}"
        ),
    ),
    "body_size_limit": (prometheus, "global: {body_size_limit: 5MB}"),
    "sample_limit": (prometheus, "global: {sample_limit: 5}"),
    "credentials": (
        prometheus,
        "scrape_configs: [{job_name: a, authorization: {credentials: x}}]",
    ),
}


@pytest.mark.parametrize("key", ELSEWHERE)
def test_a_key_of_the_servers_that_we_do_not_have_is_not_called_misspelt(key):
    module, text = ELSEWHERE[key]
    with pytest.raises(NotSupportedError) as caught:
        module.load(text, "some.yml")
    assert f"{key!r} is not supported by the embedded monitor" in caught.value.what
    assert caught.value.line
    assert caught.value.hint
    assert "did you mean" not in caught.value.hint


def test_a_hint_names_only_keys_that_may_stand_there():
    with pytest.raises(ConfigError) as caught:
        rulefile.load("groups: [{name: g, label: {a: b}}]", "some.yml")
    assert caught.value.hint == "known keys: interval, limit, name, rules"
