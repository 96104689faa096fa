"""Which receivers an alert reaches, and what they say to a drill."""

from __future__ import annotations

import shutil
import subprocess
from itertools import product

import pytest
from tests.support.hook import Hook

from watchroom.errors import ConfigError
from watchroom.formats import alertmanager, matchers
from watchroom.prove import client
from watchroom.prove.receivers import reach

CONFIG = """
route:
  receiver: fallback
  routes:
    - receiver: drill
      matchers: ['job=~"drill-.+"']
    - receiver: pager
      matchers: ['severity="critical"']
      continue: true
    - matchers: ['severity=~"critical|warning"', 'team!="data"']
      receiver: chat
      routes:
        - receiver: night
          matchers: ['env!~"prod.*"']
receivers:
  - {name: fallback}
  - {name: drill}
  - {name: pager}
  - {name: chat}
  - {name: night}
"""
VALUES = {
    "severity": ["critical", "warning", "info"],
    "job": ["app", "drill-1"],
    "env": ["production", "test", ""],
    "team": ["data", ""],
}
EVERY = [
    {k: v for k, v in zip(VALUES, row, strict=True) if v}
    for row in product(*VALUES.values())
]


@pytest.mark.judge
def test_labels_reach_the_receivers_that_amtool_names(tmp_path) -> None:
    amtool = shutil.which("amtool")
    if amtool is None:
        pytest.skip("needs Debian's amtool")
    path = tmp_path / "alertmanager.yml"
    path.write_text(CONFIG)
    config = alertmanager.load(CONFIG, str(path))
    for labels in EVERY:
        words = [f"{name}={value}" for name, value in labels.items()]
        said = subprocess.run(
            [amtool, "config", "routes", "test", f"--config.file={path}", *words],
            capture_output=True,
            text=True,
            check=True,
        )
        assert reach.receivers(config, labels) == said.stdout.strip().split(",")


def test_a_refused_connection_is_reported_without_the_path() -> None:
    with pytest.raises(client.PeerError) as caught:
        client.post("http://127.0.0.1:9/hook/s3cr3t", {}, token="t0k3n")
    assert caught.value.status is None
    assert "can't reach http://127.0.0.1:9: " in str(caught.value)
    assert "s3cr3t" not in str(caught.value)
    assert "t0k3n" not in str(caught.value)


def test_an_error_status_is_kept_for_who_must_tell_them_apart() -> None:
    hook = Hook()
    try:
        hook.status = 200
        with pytest.raises(client.PeerError) as caught:
            client.get(hook.url)
        assert caught.value.status == 501
    finally:
        hook.close()


def test_an_invalid_matcher_is_refused() -> None:
    with pytest.raises(ConfigError, match="isn't a matcher"):
        matchers.parse_one("severity")
