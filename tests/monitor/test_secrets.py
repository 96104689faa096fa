"""A receiver whose secret is not there is said at the start and on the page."""

from __future__ import annotations

import json

from tests.support.watched import request, until


def test_a_receiver_without_its_secret_is_named_until_the_file_is_there(
    target, files, monitor
):
    files.job(target.address).write()
    path = files.path / "alertmanager.yml"
    config = json.loads(path.read_text())
    config["receivers"][0]["webhook_configs"] = [{"url_file": "secrets/ops"}]
    path.write_text(json.dumps(config))
    monitor.start().ready()
    said = "receiver ops gets no page"
    assert said in monitor.log.read_text()
    assert said in request(f"{monitor.url}/").body
    (files.path / "secrets").mkdir()
    (files.path / "secrets" / "ops").write_text(files.page_url)
    until(lambda: said not in request(f"{monitor.url}/").body)
