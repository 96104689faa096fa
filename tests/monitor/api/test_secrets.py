"""A receiver whose secret is not there is said at the start and on the page."""

from __future__ import annotations

import json

from tests.support.waiting import until
from tests.support.watched import request


def test_a_receiver_without_its_secret_is_named_until_the_file_is_there(
    target, files, monitor
):
    files.job(target.address).write()
    path = files.path / "alertmanager.yml"
    config = json.loads(path.read_text())
    config["receivers"][0]["webhook_configs"] = [{"url_file": "secrets/ops"}]
    path.write_text(json.dumps(config))
    monitor.start().ready()
    said = "receiver ops gets no notifications"
    assert said in monitor.log.read_text()
    assert said in request(f"{monitor.url}/").body
    (files.path / "secrets").mkdir()
    (files.path / "secrets" / "ops").write_text(files.page_url)
    until(lambda: said not in request(f"{monitor.url}/").body)


def test_no_answer_and_no_log_shows_a_secret_of_the_files(target, files, monitor):
    sd = f"http://ann:S3CRET-1@{target.address}/none?token=S3CRET-2"
    files.job(target.address, params={"token": ["S3CRET-3"], "module": ["x"]})
    files.job("", http_sd_configs=[{"url": sd, "refresh_interval": "500ms"}])
    files.page_url += "?key=S3CRET-4"
    files.write()
    monitor.start().ready()
    until(lambda: "discovery from" in monitor.log.read_text(), what="it has failed")
    until(lambda: [one for one in monitor.targets() if one["health"] == "up"])
    shown = {
        path: request(monitor.url + path).body
        for path in (
            *("/api/v2/status", "/api/v1/status/config", "/api/v1/targets"),
            *("/metrics", "/", "/alerts"),
        )
    }
    for path, body in shown.items():
        assert "S3CRET" not in body, path
    assert "<secret>" in shown["/api/v2/status"]
    assert "module=x" in shown["/api/v1/targets"], "what is none stays"
    assert "S3CRET" not in monitor.log.read_text()
    assert ("/metrics?module=x&token=S3CRET-3") in {path for path, _ in target.seen}
