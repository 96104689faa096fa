"""What a status answer shows of a configuration: no secret, whatever its case."""

from __future__ import annotations

import json

import pytest
import yaml

from watchroom.formats import masked

ALERTMANAGER = """\
# Größe, kept
global:
  slack_api_url: https://hooks.slack.example/S3CRET-1
  smtp_auth_password: "S3CRET-2"
  smtp_auth_username: &who ops
route: {receiver: ops, matchers: ['token="left"']}
receivers:
  - name: ops
    webhook_configs:
      - url: 'http://user:S3CRET-3@h.example/S3CRET-4?x=1'  # comment
        http_config:
          authorization: {type: Bearer, credentials: S3CRET-5}
          basic_auth: {username: u, password: S3CRET-6, password_file: secrets/left}
      - url_file: secrets/left2
    pagerduty_configs: [{routing_key: S3CRET-7, routing_key_file: left3}]
    email_configs:
      - auth_password: |
          S3CRET-8
        to: left4@example.org
    opsgenie_configs: [{api_key: S3CRET-9}]
"""
PROMETHEUS = """\
global: {scrape_interval: 5s}
remote_write:
  - url: https://u:S3CRET-1@store.example/push?left=1
    bearer_token: S3CRET-2
scrape_configs:
  - job_name: token
    params: {token: [S3CRET-3, S3CRET-4], module: [left2]}
    http_sd_configs:
      - url: http://sd.example/t?api_key=S3CRET-5&left3=y&Access_Token=S3CRET-6
        authorization: {credentials_file: left4}
        basic_auth: {password: S3CRET-7}
    static_configs:
      - targets: ["https://:S3CRET-8@site.example/left5"]
"""


@pytest.mark.parametrize("text", [ALERTMANAGER, PROMETHEUS])
@pytest.mark.parametrize("form", ["yaml", "json"])
def test_no_secret_is_shown_and_all_else_stands(text, form):
    if form == "json":
        text = json.dumps(yaml.safe_load(text))
    shown = masked.config(text)
    assert "S3CRET" not in shown
    assert masked.MASK in shown
    for number in range(6):
        left = f"left{number or ''}"
        assert (left in shown) == (left in text), left
    if form == "yaml" and text is ALERTMANAGER:
        assert shown.startswith("# Größe, kept\n")
        assert "  # comment\n" in shown
    read, before = yaml.safe_load(shown), yaml.safe_load(text)
    assert read.keys() == before.keys()
    if "receivers" in before:
        assert read["route"] == before["route"]
        hook = read["receivers"][0]["webhook_configs"][0]
        assert hook["url"] == masked.MASK, "as Alertmanager tells it"


def test_labels_and_addresses_of_targets_are_masked_by_name():
    found = masked.labels(
        {
            "__address__": "a:1",
            "__param_token": "S3CRET-1",
            "__param_module": "http_2xx",
            "__meta_url": "http://u:S3CRET-2@sd.example/?sig=S3CRET-3",
            "instance": "https://site.example/?page=2",
        }
    )
    assert "S3CRET" not in str(found)
    assert found["__param_module"] == "http_2xx"
    assert found["instance"] == "https://site.example/?page=2"


def test_what_quotes_an_address_is_scrubbed_of_its_parts():
    url = "http://user:p%40ss@sd.example/t?token=a%2Fb&page=2"
    assert {"p%40ss", "p@ss", "a/b", "a%2Fb", "user"} <= {*masked.secrets_of(url)}
    assert "2" not in masked.secrets_of(url)


def test_what_is_no_yaml_shows_nothing():
    assert masked.config("a: [") == masked.MASK
