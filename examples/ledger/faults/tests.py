# ruff: noqa: PT009, PT027 - Django's own runner reads best with its own assertions
import logging
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from unittest import skipUnless

from django.conf import settings
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client, TestCase
from django.test.utils import CaptureQueriesContext

from billing import tasks
from faults.switches import (
    FAULTS,
    BadSettingError,
    Brief,
    FaultError,
    Setting,
    Switches,
    parse,
    switches,
)


@skipUnless(settings.FAULTS, "LEDGER_FAULTS is off")
class FaultTest(TestCase):
    def setUp(self):
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        usual, switches.path = switches.path, Path(folder.name) / "faults.json"
        self.addCleanup(setattr, switches, "path", usual)
        cache.clear()


class SwitchesTest(FaultTest):
    def test_amounts_are_read_as_people_write_them(self):
        for name, text, setting in (
            ("errors", "on", Setting(0.3, None, None)),
            ("errors", "12.5%", Setting(0.125, None, None)),
            ("slow-responses", "10% 2s", Setting(0.1, 2.0, None)),
            ("slow-queries", "0.5s", Setting(1.0, 0.5, None)),
            ("held-connections", "5", Setting(1.0, None, 5)),
        ):
            self.assertEqual(parse(name, text), setting)
            self.assertEqual(parse(name, str(setting)), setting)

    def test_amounts_that_do_not_fit_are_refused(self):
        for name, text in (
            ("nope", "on"),
            ("errors", "2s"),
            ("errors", "101%"),
            ("slow-queries", "26s"),
            ("errors", "many"),
            ("held-connections", "5%"),
        ):
            with self.subTest(name=name, text=text), self.assertRaises(BadSettingError):
                parse(name, text)

    def test_a_change_is_seen_by_the_other_processes(self):
        other = Switches(switches.path)
        self.assertEqual(other.current(), {})
        switches.change({"errors": "50%", "cache-misses": "on"})
        self.assertEqual(other.current()["errors"].share, 0.5)
        switches.change({"errors": "off"})
        self.assertEqual(list(other.current()), ["cache-misses"])
        switches.clear()
        self.assertEqual(other.current(), {})

    def test_a_change_is_made_whole_or_not_at_all(self):
        with self.assertRaises(BadSettingError):
            switches.change({"errors": "on", "nope": "on"})
        self.assertEqual(switches.current(), {})

    def test_a_share_strikes_as_often_as_it_says(self):
        switches.change({"errors": "30%"})
        struck = sum(switches.struck("errors") is not None for _ in range(2000))
        self.assertTrue(450 < struck < 750, struck)

    def test_the_command_line_turns_them(self):
        out = StringIO()
        call_command("fault", "errors", "40%", stdout=out)
        self.assertIn("errors            40% ", out.getvalue())
        with self.assertRaises(CommandError):
            call_command("fault", "errors", "2s", stdout=out)
        call_command("fault", "clear", stdout=out)
        self.assertEqual(switches.current(), {})


class PageTest(FaultTest):
    def turn(self, sent):
        return self.client.post("/faults/", sent, content_type="application/json")

    def test_scripts_turn_them_over_http(self):
        self.assertEqual(self.turn({"errors": "30%"}).json(), {"errors": "30%"})
        self.assertEqual(
            self.turn({"slow-queries": True}).json()["slow-queries"], "100% 1.5s"
        )
        self.assertEqual(self.turn({"errors": 0.25}).json()["errors"], "25%")
        self.assertEqual(list(self.turn({"errors": None}).json()), ["slow-queries"])
        shown = self.client.get("/faults/", headers={"accept": "application/json"})
        self.assertEqual(list(shown.json()), ["slow-queries"])
        self.assertEqual(self.client.delete("/faults/").json(), {})

    def test_what_makes_no_sense_changes_nothing(self):
        for sent in (
            "{",
            "[]",
            '{"nope": "on"}',
            '{"errors": "much"}',
            '{"errors": [1]}',
        ):
            with self.subTest(sent):
                self.assertEqual(self.turn(sent).status_code, 400)
        self.assertEqual(switches.current(), {})

    def test_people_turn_them_on_a_page(self):
        person = Client(enforce_csrf_checks=True)
        page = person.get("/faults/")
        for name in FAULTS:
            self.assertContains(page, name)
        form = {"name": "errors", "setting": "on"}
        self.assertEqual(person.post("/faults/", form).status_code, 403)
        form["csrfmiddlewaretoken"] = page.context["csrf_token"]
        self.assertRedirects(person.post("/faults/", form), "/faults/")
        self.assertContains(person.get("/faults/"), "30%")
        bad = form | {"setting": "2s"}
        self.assertEqual(person.post("/faults/", bad).status_code, 400)


class EffectTest(FaultTest):
    def test_errors_are_exceptions_but_the_switches_stay_reachable(self):
        switches.change({"errors": "100%"})
        stranger = Client(raise_request_exception=False)
        self.assertEqual(stranger.get("/").status_code, 500)
        self.assertEqual(stranger.get("/faults/").status_code, 200)
        switches.clear()
        self.assertEqual(stranger.get("/").status_code, 200)

    def test_slow_responses_wait(self):
        switches.change({"slow-responses": "0.2s"})
        started = monotonic()
        self.client.get("/customers/")
        self.assertGreater(monotonic() - started, 0.2)

    def test_slow_queries_are_slow_in_the_database(self):
        switches.change({"slow-queries": "0.2s"})
        with CaptureQueriesContext(
            connection,
        ) as queries:
            self.client.get("/customers/")
        slowest = max(queries.captured_queries, key=lambda query: float(query["time"]))
        self.assertIn("pg_sleep", slowest["sql"])
        self.assertGreaterEqual(float(slowest["time"]), 0.2)

    def test_the_cache_forgets(self):
        cache.set("a", 1)
        switches.change({"cache-misses": "on"})
        self.assertEqual((cache.get("a"), cache.get_many(["a"])), (None, {}))
        switches.clear()
        cache.set("a", 2)
        self.assertEqual((cache.get("a"), cache.get_many(["a"])), (2, {"a": 2}))

    def test_tasks_fail(self):
        switches.change({"task-failures": "100%"})
        with self.assertRaises(FaultError):
            tasks.send_missed.delay()
        switches.clear()
        self.assertEqual(tasks.send_missed.delay().get(), 0)

    def test_wanted_failures_are_logged_in_one_line(self):
        wanted = (FaultError, FaultError("wanted"), None)
        record = logging.LogRecord("x", logging.ERROR, "x", 1, "x", (), wanted)
        self.assertTrue(Brief().filter(record))
        self.assertIsNone(record.exc_info)
