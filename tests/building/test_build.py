"""`watchroom build` as people and CI use it: real projects, real files."""

from __future__ import annotations

import json

import pytest

from watchroom.formats import prometheus

EXPECTED = {
    "prometheus.yml",
    "rules/watchroom.yml",
    "alertmanager.yml",
    "grafana/watchroom-overview.json",
    "watchroom.json",
    "local/README.md",
}


def test_a_build_needs_no_database_and_finds_the_projects_own_vitals(shop):
    shop.build()
    texts = shop.texts()
    assert set(texts) >= EXPECTED
    assert "runbooks/OrdersWaiting.md" in texts
    assert "max by (job) (orders_waiting) > 100" in texts["rules/watchroom.yml"]
    manifest = json.loads(texts["watchroom.json"])
    assert manifest["project"] == "shop"
    assert manifest["inputs"]["settings"] == "shop.settings"


def test_a_vitals_module_beside_the_settings_is_found_too(shop):
    shop.root.joinpath("orders/vitals.py").rename(shop.root / "shop/vitals.py")
    shop.build()
    assert "runbooks/OrdersWaiting.md" in shop.texts()


def test_a_vital_whose_drill_would_page_is_not_built(shop):
    vitals = shop.root / "orders/vitals.py"
    text = vitals.read_text()
    assert "max by (job) (orders_waiting)" in text
    vitals.write_text(text.replace("max by (job) (orders_w", "max(orders_w", 1))
    said = shop.build(code=2)
    assert (
        "vital OrdersWaiting, alert OrdersWaiting: its drill would send a real page"
        in said
    )
    assert "keep job in every aggregation" in said
    assert not (shop.out / "prometheus.yml").exists()


def test_two_builds_are_byte_for_byte_the_same_and_the_second_writes_nothing(shop):
    shop.build()
    first = shop.texts()
    stamp = (shop.out / "prometheus.yml").stat().st_mtime_ns
    assert ", 0 changed" in shop.build()
    assert shop.texts() == first
    assert (shop.out / "prometheus.yml").stat().st_mtime_ns == stamp


def test_check_is_quiet_when_fresh_and_names_what_a_setting_made_stale(shop):
    said = shop.build("--check", code=1)
    assert "has not been built yet" in said
    shop.build("--interval", "15s")
    assert "up to date" in shop.build("--check")
    shop.configure("WATCHROOM['VITALS'] = {'HighLatency': {'limit': '3s'}}\n")
    said = shop.build("--check", code=1)
    assert "rules/watchroom.yml: differs" in said
    assert "runbooks/HighLatency.md: differs" in said
    assert "prometheus.yml" not in said
    diff = shop.build("--diff")
    assert 'le=~"2(' in diff
    assert 'le=~"3(' in diff
    shop.build()
    assert "up to date" in shop.build("--check")


def test_options_are_remembered_until_told_otherwise(shop):
    said = shop.build("--interval", "2s", "--window", "30s", "--for", "4s")
    assert "for demos and tests only" in said
    shop.build()
    text = shop.texts()["rules/watchroom.yml"]
    assert "rate30s" in text
    assert "scrape_interval: 2s" in shop.texts()["prometheus.yml"]
    shop.build("--window", "", "--for", "")
    assert "rate5m" in shop.texts()["rules/watchroom.yml"]
    assert "scrape_interval: 2s" in shop.texts()["prometheus.yml"]


def test_an_edited_file_is_refused_with_its_diff_and_kept(shop):
    shop.build()
    path = shop.out / "alertmanager.yml"
    path.write_text(path.read_text().replace("group_wait: 30s", "group_wait: 10s"))
    edited = path.read_text()
    said = shop.build(code=2)
    assert "alertmanager.yml was edited" in said
    assert "-  group_wait: 10s" in said
    assert "local" in said
    assert path.read_text() == edited
    shop.build("--force")
    assert "group_wait: 30s" in path.read_text()


def test_files_that_were_never_ours_are_not_overwritten(shop):
    shop.out.mkdir()
    (shop.out / "prometheus.yml").write_text("global: {}\n")
    assert "prometheus.yml was edited" in shop.build(code=2)
    assert (shop.out / "prometheus.yml").read_text() == "global: {}\n"


def test_what_is_no_longer_made_is_removed(shop):
    shop.build()
    assert (shop.out / "runbooks/OrdersWaiting.md").exists()
    (shop.root / "orders/vitals.py").unlink()
    assert "runbooks/OrdersWaiting.md: left over" in shop.build("--check", code=1)
    shop.build()
    assert not (shop.out / "runbooks/OrdersWaiting.md").exists()


def test_the_teams_own_files_are_merged_in_and_never_written_to(shop):
    shop.build()
    (shop.out / "local/README.md").write_text("ours\n")
    (shop.out / "local/prometheus.yml").write_text(
        "scrape_configs:\n  - job_name: postgres\n"
        "    static_configs: [{targets: ['db:9187']}]\n"
    )
    (shop.out / "local/alertmanager.yml").write_text(
        "routes:\n  - receiver: dba\n    matchers: ['job=\"postgres\"']\n"
        "receivers:\n  - name: dba\n    webhook_configs: [{url: 'http://127.0.0.1:1'}]\n"
    )
    rule = "groups:\n  - name: x\n    rules:\n      - record: a\n        expr: up\n"
    (shop.out / "local/rules/db.yml").write_text(rule)
    mine = {p: t for p, t in shop.texts().items() if p.startswith("local/")}
    shop.build()
    config = prometheus.load(shop.texts()["prometheus.yml"], "p")
    assert [job.job_name for job in config.scrape_configs][-1] == "postgres"
    assert "receiver: dba" in shop.texts()["alertmanager.yml"]
    assert {p: t for p, t in shop.texts().items() if p.startswith("local/")} == mine
    assert "up to date" in shop.build("--check")


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("local/prometheus.yml", "scrape_confgs: []\n", ":1:"),
        (
            "local/prometheus.yml",
            "scrape_configs:\n  - job_name: app\n",
            "two jobs are named 'app'",
        ),
        (
            "local/alertmanager.yml",
            "routes:\n  - receiver: nobody\n",
            "no receiver is named 'nobody'",
        ),
        (
            "local/contacts.yml",
            "contacts:\n  - name: Anna\n    receivers: [nobody]\n",
            "local/contacts.yml:3: contacts[0].receivers[0]: no receiver is named",
        ),
        (
            "local/rules/db.yml",
            "groups:\n  - name: x\n    rules:\n      - alert: a\n        expr: sum(\n",
            "local/rules/db.yml:5:",
        ),
    ],
)
def test_a_wrong_file_of_the_team_is_refused_and_nothing_is_written(
    shop, path, text, said
):
    shop.build()
    before = shop.texts()
    (shop.out / path).write_text(text)
    answer = shop.build(code=2)
    assert said in answer
    assert path in answer
    (shop.out / path).unlink()
    assert shop.texts() == before


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("WATCHROOM['SITE'] = []\n", "did you mean 'SITES'?"),
        ("WATCHROOM['VITALS'] = {'HighLatncy': {'limit': 3}}\n", "HighLatency"),
        ("raise RuntimeError('no key')\n", "settings.py:6: the settings"),
        ("WATCHROOM['EXPORTER'] = 9000\n", "EXPORTER"),
    ],
)
def test_wrong_settings_are_one_line_that_says_where(shop, settings, said):
    shop.configure(settings)
    answer = shop.build(code=2)
    assert said in answer
    assert len(answer.strip().splitlines()) == 1
    assert not shop.out.exists()


def test_a_vitals_module_that_does_not_import_is_named_with_its_line(shop):
    shop.write("orders/vitals.py", "import watchroom\n\n1 / 0\n")
    assert "vitals.py:3: orders.vitals can't be imported" in shop.build(code=2)


def test_a_selector_of_an_undeclared_metric_fails_the_build(shop):
    text = (shop.root / "orders/vitals.py").read_text()
    shop.write("orders/vitals.py", text.replace("(orders_waiting)", "(order_waiting)"))
    said = shop.build(code=2)
    assert "vital OrdersWaiting" in said
    assert "did you mean 'orders_waiting'?" in said


def test_a_build_says_what_will_page_nobody(shop):
    said = shop.build()
    assert "RECEIVERS is empty" in said
    assert "SITES is empty" in said
    shop.configure(
        "WATCHROOM['RECEIVERS'] = {'ops': {'secret': 'hook', 'severity': 'warning'}}\n"
        "WATCHROOM['SITES'] = ['https://shop.example/']\n"
    )
    said = shop.build()
    assert "no receiver accepts critical P1" in said
    assert "MONITOR_URL is not set" in said
    assert "secrets/hook" in said
    assert "Alertmanager 0.26" in said
    assert "SITES" not in said


def test_without_a_project_the_way_on_is_said(shop):
    (shop.root / "manage.py").unlink()
    said = shop.build(code=2)
    assert "--project DIR" in said
    assert "--settings MODULE" in said


@pytest.mark.parametrize("module", ["json", "django.conf.global_settings", "shop.urls"])
def test_settings_that_are_not_the_projects_build_nothing(shop, module):
    shop.write("shop/urls.py", "urlpatterns = []\n")
    said = shop.build("--settings", module, code=2)
    assert f"{module!r} does not use watchroom" in said
    assert "--settings MODULE" in said
    assert not shop.out.exists()


def test_settings_that_a_shell_exported_for_another_project_are_refused(shop):
    shop.exported = {"DJANGO_SETTINGS_MODULE": "tests.app.settings"}
    said = shop.build(code=2)
    assert "'tests.app.settings', which is outside this project" in said
    assert "--settings tests.app.settings" in said
    shop.exported = {"DJANGO_SETTINGS_MODULE": "shop.settings"}
    shop.build()


def test_a_broker_whose_transport_does_not_import_is_named(shop):
    shop.write(
        "shop/celery.py",
        'from celery import Celery\napp = Celery("shop", broker="sqs://")\n',
    )
    said = shop.build(code=2)
    assert "the broker sqs:// can't be imported" in said
    assert "pip install 'celery[sqs]'" in said
    assert "Traceback" not in said


def test_an_unwritable_directory_is_an_error_and_not_a_crash(shop):
    shop.write("monitoring", "a file where the directory should be")
    assert "monitoring" in shop.build(code=2)
