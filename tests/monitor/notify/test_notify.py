"""Delivery to receivers that fail on command, and what the ledger says of it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import itertools
import os
import textwrap
import threading
import time

import aiohttp
import pytest
from tests.support.hole import Hole
from tests.support.listener import Listener, listening
from tests.support.ports import free_port
from tests.support.waiting import until_async

from watchroom.formats import alertmanager
from watchroom.monitor.alert import Alert
from watchroom.monitor.dispatch.dispatcher import Dispatcher
from watchroom.monitor.dispatch.notification import DeliveryKey, Notification
from watchroom.monitor.dispatch.policy import Policy, RouteOnly
from watchroom.monitor.notify import ledger as ledger_module
from watchroom.monitor.notify import webhook
from watchroom.monitor.notify.ledger import Ledger
from watchroom.monitor.notify.notifier import Notifier, Pace
from watchroom.monitor.notify.webhook import Attempt
from watchroom.monitor.oncall.records import Records
from watchroom.monitor.routing.routing import Routing
from watchroom.monitor.state.database import StateDB
from watchroom.promql.model import labels_of

PACE = Pace(first=0.05, longest=0.2, timeout=0.4)
ROUTE = """
route: {receiver: ops, group_by: [alertname], group_wait: 0s, group_interval: 400ms,
        repeat_interval: 1h}
"""


def attempts_of(state, delivery):
    """Return number and error of each attempt that the ledger keeps of a delivery."""
    rows = "SELECT number, error FROM attempt WHERE delivery = ? ORDER BY number"
    return state.read(rows, (delivery,))


def config(hook, route=ROUTE, name="ops"):
    text = textwrap.dedent(route) + (
        f"receivers: [{{name: {name}, webhook_configs: [{{{hook}}}]}}]\n"
    )
    return alertmanager.load(text, "am.yml")


def alert(name="A", *, ended=False):
    now = round(time.time() * 1000)
    pairs = labels_of({"alertname": name})
    return Alert(pairs, (), now - 10, now if ended else None, now)


class Delivering:
    """A notifier over a state directory, as a process would have it."""

    def __init__(self, directory, loaded, pace=PACE, policy=None):
        self.directory, self.loaded, self.pace = directory, loaded, pace
        self.policy = policy

    async def __aenter__(self):
        self.state = StateDB(self.directory)
        self.ledger = Ledger(self.state)
        self.session = aiohttp.ClientSession()
        self.dispatcher = Dispatcher(
            Routing(self.loaded),
            policy=self.policy,
            log=self.ledger.notification_log(),
            open_deliveries=self.ledger.open_deliveries(),
        )
        self.notifier = Notifier(
            self.loaded,
            config_dir=self.directory,
            dispatcher=self.dispatcher,
            ledger=self.ledger,
            session=self.session,
            external_url="http://watch.example",
            now=time.time,
            pace=self.pace,
        )
        self.task = asyncio.create_task(self.notifier.run())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *exc):
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task
        await self.session.close()
        self.state.close()

    async def until(self, true, within=5.0):
        """Wait until the newest ledger entry satisfies `true`, and return it."""

        async def newest():
            return self.ledger.recent(5)

        entries = await until_async(
            newest, within, "ledger", good=lambda found: found and true(found[0])
        )
        return entries[0]


@pytest.fixture
def listener():
    with listening() as made:
        yield made


def sent(entry):
    return entry.state == "sent"


def test_a_page_is_sent_when_the_receiver_accepts_it(tmp_path, listener):
    async def story():
        async with Delivering(tmp_path, config(f'url: "{listener.url()}"')) as actions:
            actions.notifier.submit([alert()])
            entry = await actions.until(
                lambda e: sent(e) and not actions.notifier.stats()["", "queue"]
            )
            assert (entry.attempts, entry.http_status, entry.error) == (1, 200, "")
            assert entry.alertnames == ("A",)
            assert entry.latency_ms > 0
            assert entry.destination == f"http://127.0.0.1:{listener.port}/…"
            assert actions.notifier.stats() == {("ops", "sent"): 1, ("", "queue"): 0}
            (told,) = actions.ledger.notification_log().values()
            assert told.firing == {alert().fingerprint}

    asyncio.run(story())
    (message,) = listener.messages()
    assert message["version"] == "4"
    assert message["groupKey"] == '{}:{alertname="A"}'
    assert message["externalURL"] == "http://watch.example"


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ([500, 503], "answered 503"),
        ([429], "answered 429"),
        ([1.0], "no answer within 0.4 s"),
        ([0.0], "connection closed without an answer"),
    ],
)
def test_what_may_pass_is_tried_again_until_it_does(tmp_path, answers, error):
    async def story(listener):
        async with Delivering(tmp_path, config(f'url: "{listener.url()}"')) as actions:
            actions.notifier.submit([alert()])
            entry = await actions.until(sent)
            assert entry.attempts == len(answers) + 1
            attempts = attempts_of(actions.state, entry.id)
            assert [number for number, _ in attempts] == [*range(1, len(answers) + 2)]
            assert attempts[-2][1] == error
            assert actions.notifier.stats()["ops", "retried"] == len(answers)

    with listening(answers=answers) as listener:
        asyncio.run(story(listener))
        assert len({h.text for h in listener.heard}) == 1


def test_retry_after_is_obeyed(tmp_path):
    with listening(answers=[(429, {"Retry-After": "1"})]) as listener:

        async def story():
            async with Delivering(
                tmp_path, config(f'url: "{listener.url()}"')
            ) as actions:
                actions.notifier.submit([alert()])
                await actions.until(sent)

        asyncio.run(story())
        first, second = (h.at for h in listener.heard)
        assert 0.95 < second - first < 2


def test_a_receiver_that_is_down_gets_its_page_when_it_is_back(tmp_path):
    port = free_port()

    async def story():
        async with Delivering(
            tmp_path, config(f'url: "http://127.0.0.1:{port}/secret-path"')
        ) as actions:
            actions.notifier.submit([alert()])
            entry = await actions.until(lambda e: e.attempts >= 2)
            assert (entry.state, entry.error) == ("open", "connection refused")
            assert entry.next_attempt_ms > entry.created_ms
            assert actions.notifier.stats()["", "queue"] == 1
            listener = Listener(port=port)
            try:
                await actions.until(sent)
            finally:
                listener.close()

    asyncio.run(story())


def test_a_refusal_for_good_is_recorded_and_tried_anew_with_the_next_interval(tmp_path):
    with listening(answers=[404, 400]) as listener:

        async def story():
            async with Delivering(
                tmp_path, config(f'url: "{listener.url()}"')
            ) as actions:
                actions.notifier.submit([alert()])
                entry = await actions.until(sent)
                entries = actions.ledger.recent()
                assert [e.state for e in entries] == ["sent", "failed", "failed"]
                assert [e.error for e in entries[1:]] == [
                    "answered 400",
                    "answered 404",
                ]
                assert [e.attempts for e in entries] == [1, 1, 1]
                assert entry.id == entries[0].id
                assert actions.notifier.stats()["ops", "failed"] == 2

        asyncio.run(story())


def test_a_redirect_is_a_refusal(tmp_path):
    with listening(answers=[(302, {"Location": "http://127.0.0.1:1/x"})]) as listener:

        async def story():
            async with Delivering(
                tmp_path, config(f'url: "{listener.url()}"')
            ) as actions:
                actions.notifier.submit([alert()])
                entry = await actions.until(lambda e: e.state == "failed")
                assert entry.http_status == 302

        asyncio.run(story())


def test_after_give_up_the_delivery_has_failed_and_the_next_one_starts(tmp_path):
    with listening(answers=[500] * 6) as listener:

        async def story():
            pace = PACE._replace(give_up=0.1, first=0.2, longest=0.2)
            loaded = config(f'url: "{listener.url()}"')
            async with Delivering(tmp_path, loaded, pace) as actions:
                actions.notifier.submit([alert()])
                await actions.until(sent)
                assert {e.state for e in actions.ledger.recent()} == {"sent", "failed"}

        asyncio.run(story())


def test_secrets_are_read_at_every_send_and_written_nowhere(tmp_path):
    with listening(answers=[503]) as listener:
        (tmp_path / "hook").write_text("")
        (tmp_path / "token").write_text("first-token\n")
        hook = "url_file: hook, http_config: {authorization: {credentials_file: token}}"

        async def story():
            async with Delivering(tmp_path, config(hook)) as actions:
                actions.notifier.submit([alert()])
                entry = await actions.until(lambda e: e.state == "failed")
                assert "URL" in entry.error
                (tmp_path / "hook").unlink()
                await actions.until(lambda e: "hook: No such file" in e.error)
                (tmp_path / "hook").write_text(
                    listener.url("/T0P-SECRET?key=abc") + "\n"
                )
                await actions.until(lambda e: "503" in e.error)
                (tmp_path / "token").write_text("second-token\n")
                entry = await actions.until(sent)
                assert entry.destination == f"http://127.0.0.1:{listener.port}/…"

        asyncio.run(story())
        assert [h.path for h in listener.heard] == ["/T0P-SECRET?key=abc"] * 2
        assert [h.headers["Authorization"] for h in listener.heard] == [
            "Bearer first-token",
            "Bearer second-token",
        ]
    for part in tmp_path.glob("state.db*"):
        stored = part.read_bytes()
        assert b"SECRET" not in stored
        assert b"-token" not in stored


def test_an_end_is_sent_and_the_group_is_forgotten(tmp_path, listener):
    async def story():
        async with Delivering(tmp_path, config(f'url: "{listener.url()}"')) as actions:
            actions.notifier.submit([alert()])
            await actions.until(sent)
            actions.notifier.submit([alert(ended=True)])
            await actions.until(lambda e: sent(e) and e.status == "resolved")
            # The ledger knows a moment before the group does.
            for _ in range(500):
                if actions.dispatcher.due_ms() is None:
                    break
                await asyncio.sleep(0.02)
            assert actions.dispatcher.due_ms() is None

    asyncio.run(story())
    assert [m["status"] for m in listener.messages()] == ["firing", "resolved"]


def test_newer_content_takes_the_place_of_a_page_that_nobody_accepts(tmp_path):
    port = free_port()

    async def story():
        loaded = config(f'url: "http://127.0.0.1:{port}/"')
        async with Delivering(tmp_path, loaded) as actions:
            actions.notifier.submit([alert()])
            await actions.until(lambda e: e.attempts >= 2)
            actions.notifier.submit([alert(ended=True)])
            await actions.until(lambda e: e.status == "resolved")
            listener = Listener(port=port)
            try:
                await actions.until(sent)
            finally:
                listener.close()
            assert [m["status"] for m in listener.messages()] == ["resolved"]
            assert [e.state for e in actions.ledger.recent()] == ["sent", "superseded"]
            assert actions.notifier.stats()["ops", "superseded"] == 1

    asyncio.run(story())


def test_the_next_process_goes_on_with_what_is_open(tmp_path):
    port = free_port()
    loaded = config(f'url: "http://127.0.0.1:{port}/"')

    async def first():
        async with Delivering(tmp_path, loaded) as actions:
            actions.notifier.submit([alert()])
            await actions.until(lambda e: e.attempts >= 1)

    async def second():
        async with Delivering(
            tmp_path, loaded
        ) as actions:  # the alert itself is not submitted
            entry = await actions.until(sent)
            assert entry.attempts >= 2

    asyncio.run(first())
    with listening(port=port) as listener:
        asyncio.run(second())
        assert [m["status"] for m in listener.messages()] == ["firing"]


def test_a_reload_keeps_pages_under_way_and_drops_those_without_a_receiver(tmp_path):
    port = free_port()
    loaded = config(f'url: "http://127.0.0.1:{port}/"')

    async def story():
        async with Delivering(tmp_path, loaded) as actions:
            actions.notifier.submit([alert()])
            await actions.until(lambda e: e.attempts >= 1)
            before = actions.ledger.recent()[0].id
            await actions.notifier.reload(loaded, tmp_path)
            entry = await actions.until(lambda e: e.attempts >= 3)
            assert entry.id == before
            other = config(
                f'url: "{listener.url()}"', ROUTE.replace("ops", "new"), "new"
            )
            await actions.notifier.reload(other, tmp_path)
            await actions.until(lambda e: sent(e) and e.key.receiver == "new")
            old = next(e for e in actions.ledger.recent() if e.id == before)
            assert old.state == "dropped"
            assert old.error.startswith(
                "receiver 'ops' is no longer in alertmanager.yml"
            )
            assert actions.notifier.stats()["ops", "dropped"] == 1

    with listening() as listener:
        asyncio.run(story())


def test_a_ledger_that_cannot_be_written_does_not_stop_a_page(tmp_path, listener):
    async def story():
        async with Delivering(tmp_path, config(f'url: "{listener.url()}"')) as actions:

            def full(db):
                (pages,) = db.execute("PRAGMA page_count").fetchone()
                db.execute(f"PRAGMA max_page_count = {pages}")

            actions.state.write(full).result()
            many = [alert(f"A{i}") for i in range(400)]
            actions.notifier.submit(many)
            end = time.monotonic() + 30
            # One that was slow to be answered comes twice.
            while len(groups()) < 400 and time.monotonic() < end:  # noqa: ASYNC110 - another thread's list
                await asyncio.sleep(0.05)
            assert actions.notifier.stats()["", "ledger_failed"] > 0

    def groups():
        return {m["groupKey"] for m in listener.messages()}

    asyncio.run(story())
    assert len(groups()) == 400


def test_a_disk_that_hangs_delays_a_page_and_its_record_comes_later(tmp_path, listener):
    release = threading.Event()

    async def story():
        pace = Pace(ledger_timeout=0.2)
        async with Delivering(
            tmp_path, config(f'url: "{listener.url()}"'), pace=pace
        ) as actions:
            hung = actions.state.write(lambda _: release.wait(20))
            actions.notifier.submit([alert("A")])
            end = time.monotonic() + 30
            while not listener.heard and time.monotonic() < end:  # noqa: ASYNC110 - another thread's list
                await asyncio.sleep(0.05)
            assert not hung.done()
            assert len(listener.heard) == 1
            assert actions.ledger.recent() == []
            release.set()
            await actions.until(sent)

    try:
        asyncio.run(story())
    finally:
        release.set()


def test_a_page_resolved_before_it_is_accepted_is_dropped_in_the_ledger(
    tmp_path,
):
    hook = f'url: "http://127.0.0.1:{free_port()}/", send_resolved: false'

    async def story():
        async with Delivering(tmp_path, config(hook)) as actions:
            actions.notifier.submit([alert()])
            await actions.until(lambda e: e.attempts >= 1)
            actions.notifier.submit([alert(ended=True)])
            entry = await actions.until(lambda e: e.state == "dropped")
            assert (
                "resolved or acknowledged before the receiver accepted it"
                in entry.error
            )
            assert "connection refused" in entry.error
            assert actions.dispatcher.due_ms() is None
            assert actions.ledger.open_deliveries() == {}

    asyncio.run(story())


TWO = """
route: {receiver: chat, group_by: [alertname], group_wait: 0s, group_interval: 30s,
        repeat_interval: 1h,
        routes: [{receiver: pager, matchers: ['alertname="AppDown"']}]}
receivers:
  - {name: chat, %s}
  - {name: pager, webhook_configs: [{url: "%s"}]}
"""


async def hears_of(actions, listener, within):
    """Submit an alert for the pager and return whether it hears of it in time."""
    actions.notifier.submit([alert("AppDown")])
    end = time.monotonic() + within
    while not listener.heard and time.monotonic() < end:  # noqa: ASYNC110 - another thread's list
        await asyncio.sleep(0.02)
    return [m["groupLabels"]["alertname"] for m in listener.messages()]


def test_a_receiver_that_never_answers_delays_no_other(tmp_path, listener):
    async def story(hole):
        chat = f'webhook_configs: [{{url: "http://127.0.0.1:{hole.port}/"}}]'
        loaded = alertmanager.load(TWO % (chat, listener.url()), "am.yml")
        async with Delivering(tmp_path, loaded, Pace(timeout=30.0)) as actions:
            actions.notifier.submit([alert(f"W{n}") for n in range(20)])
            while len(hole.taken) < Pace().at_once:  # noqa: ASYNC110 - another thread's list
                await asyncio.sleep(0.02)
            assert await hears_of(actions, listener, 10) == ["AppDown"]

    with Hole() as hole:
        asyncio.run(story(hole))


def test_a_secret_on_a_disk_that_hangs_delays_no_other_and_counts_as_failing(
    tmp_path, listener
):
    os.mkfifo(tmp_path / "slack")  # nobody writes it: reading it hangs

    async def story():
        chat = "slack_configs: [{api_url_file: slack}]"
        loaded = alertmanager.load(TWO % (chat, listener.url()), "am.yml")
        pace = PACE._replace(overdue=0.3)
        async with Delivering(tmp_path, loaded, pace) as actions:
            try:
                actions.notifier.submit([alert(f"W{n}") for n in range(20)])
                assert await hears_of(actions, listener, 10) == ["AppDown"]
                await actions.until(
                    lambda _: all(e.attempts for e in actions.ledger.recent())
                )
                (*_, waits) = actions.ledger.recent()
                (_, error), *_ = attempts_of(actions.state, waits.id)
                assert error == f"{tmp_path / 'slack'}: not read within 0.4 s"
                # One thread at most waits for the disk, so names and files go on.
                async with asyncio.timeout(10):
                    await asyncio.to_thread(time.time)
                assert actions.notifier.notified()["chat", "slack[0]"][1] > 0
                assert actions.notifier.notified()["pager", "webhook[0]"] == (1, 0)
            finally:
                os.close(os.open(tmp_path / "slack", os.O_WRONLY))

    asyncio.run(story())


CALLED = """
receivers:
  - {name: ops, webhook_configs: [{url: "http://127.0.0.1:1/"}]}
  - {name: ben, webhook_configs: [{url: "%s"}]}
"""


class BenIsCalled(RouteOnly):
    """On-call has Ben called, until somebody has acknowledged."""

    def __init__(self):
        self.current = Policy(receivers=("ben",))

    def policy_of(self, group, alerts, now_ms):
        del group, alerts, now_ms
        return self.current


class Calls:
    """A notifier under that policy."""

    def __init__(self, actions):
        self.actions = actions
        actions.notifier.submit([alert()])

    def answered(self, *, quiet=True):
        policy = self.actions.policy
        policy.current = policy.current._replace(quiet=quiet)
        self.actions.notifier.cancel_repeats([alert().fingerprint])

    async def entry(self, true):
        """Wait until Ben's newest entry satisfies `true`, and return it."""

        def last():
            entries = (
                e for e in self.actions.ledger.recent() if e.key.receiver == "ben"
            )
            return next(entries, None)

        await self.actions.until(lambda _: last() and true(last()))
        return last()


def test_a_receiver_that_may_have_taken_a_cancelled_page_gets_its_end(tmp_path):
    async def story(ben):
        loaded = alertmanager.load(ROUTE + CALLED % ben.url(), "am.yml")
        async with Delivering(tmp_path, loaded, policy=BenIsCalled()) as actions:
            calls = Calls(actions)
            await calls.entry(lambda e: e.attempts >= 1)
            calls.answered()
            entry = await calls.entry(lambda e: e.state == "dropped")
            assert entry.error.startswith("resolved or acknowledged before")
            await actions.until(lambda _: actions.ledger.notification_log())
            heard = len(ben.heard)
            await asyncio.sleep(3 * 0.4)  # intervals of the group
            assert len(ben.heard) == heard, "somebody is on it"
            ben.answers.clear()
            actions.notifier.submit([alert(ended=True)])
            await calls.entry(lambda e: sent(e) and e.status == "resolved")

    with listening(answers=[1.0] * 50) as ben:
        asyncio.run(story(ben))


def test_a_message_waits_for_the_one_before_it_though_that_was_cancelled(tmp_path):
    async def story(ben):
        loaded = alertmanager.load(ROUTE + CALLED % ben.url(), "am.yml")
        pace = PACE._replace(timeout=5.0)
        async with Delivering(tmp_path, loaded, pace, BenIsCalled()) as actions:
            calls = Calls(actions)
            for quiet in (True, False, True, False):
                await asyncio.sleep(0.3)
                calls.answered(quiet=quiet)
            await calls.entry(lambda _: len(ben.heard) >= 3)

    with listening(answers=[0.7] * 50) as ben:
        asyncio.run(story(ben))
        times = [h.at for h in ben.heard]
    assert min(b - a for a, b in itertools.pairwise(times)) > 0.65, times


def test_what_waits_for_a_slot_counts_as_failing_before_it_was_tried(tmp_path):
    async def story(hole):
        loaded = config(f'url: "http://127.0.0.1:{hole.port}/"')
        pace = Pace(timeout=30.0, overdue=0.5, at_once=1)
        async with Delivering(tmp_path, loaded, pace) as actions:
            actions.notifier.submit([alert("A"), alert("B")])
            await actions.until(
                lambda _: actions.notifier.notified()["ops", "webhook[0]"][1]
            )
            assert actions.notifier.notified()["ops", "webhook[0]"] == (2, 2)

    with Hole() as hole:
        asyncio.run(story(hole))


def test_a_text_that_cannot_be_made_is_in_the_ledger_and_others_are_sent(
    tmp_path, listener
):
    async def story():
        chat = 'slack_configs: [{api_url: "http://127.0.0.1:1/"}]'
        loaded = alertmanager.load(TWO % (chat, listener.url()), "am.yml")
        async with Delivering(tmp_path, loaded) as actions:
            broken = actions.notifier._sender.integration(
                DeliveryKey("chat", "slack[0]", "")
            )
            broken.compose = None  # only a bug: a template's fault is in its message
            actions.notifier.submit([alert("W")])
            entry = await actions.until(lambda e: e.state == "failed")
            assert entry.error.startswith("the text could not be rendered")
            assert entry.attempts == 1
            assert await hears_of(actions, listener, 10) == ["AppDown"]

    asyncio.run(story())


def test_an_end_that_comes_with_other_alerts_is_not_missed(tmp_path):
    async def story():
        async with Delivering(
            tmp_path, config('url: "http://127.0.0.1:1/"')
        ) as actions:
            await asyncio.sleep(0.05)  # until it waits
            actions.notifier._wake.set()
            actions.task.cancel()
            done, _ = await asyncio.wait([actions.task], timeout=30)
            assert done
            for turns in range(5):
                written = concurrent.futures.Future()
                waits = asyncio.create_task(actions.notifier._written(written))
                await asyncio.sleep(0)
                written.set_result(1)
                for _ in range(turns):
                    await asyncio.sleep(0)
                finished = waits.done()
                waits.cancel()
                await asyncio.wait([waits])
                assert finished or waits.cancelled()

    asyncio.run(story())


def test_a_start_with_another_file_drops_what_is_open_for_receivers_that_are_gone(
    tmp_path,
):
    loaded = config(f'url: "http://127.0.0.1:{free_port()}/"')
    other = config('url: "http://127.0.0.1:1/"', ROUTE.replace("ops", "new"), "new")

    async def first():
        async with Delivering(tmp_path, loaded) as actions:
            actions.notifier.submit([alert()])
            await actions.until(lambda e: e.attempts >= 1)

    async def second():
        async with Delivering(tmp_path, other) as actions:
            entry = await actions.until(lambda e: e.state == "dropped")
            assert "'ops' is no longer" in entry.error

    asyncio.run(first())
    asyncio.run(second())


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        (None, 0, 0),
        ("soon", 0, 0),
        ("2.5", 2.5, 2.5),
        ("-3", 0, 0),
        ("86400", 300, 300),
        ("Tue, 14 Nov 2023 22:13:50 GMT", 30, 30),
        ("Tue, 14 Nov 2003 22:13:50 GMT", 0, 0),
    ],
)
def test_retry_after_is_a_number_or_a_date_and_bounded(header, least, most):
    assert least <= webhook._retry_after(header, 1_700_000_000) <= most


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hooks.example/services/T0/B0/xyz", "https://hooks.example/…"),
        ("http://user:pass@[::1]:9/x?k=v#f", "http://::1:9/…"),
        ("hooks.example/secret", "a URL without scheme or host"),
        ("http://x:notaport/secret", "a URL that does not parse"),
    ],
)
def test_a_url_is_shown_without_what_opens_it(url, shown):
    assert webhook.redacted(url) == shown


def test_the_ledger_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(ledger_module, "KEPT", 50)  # 10,000 take a minute
    with StateDB(tmp_path) as state:
        ledger = Ledger(state)
        old = round(time.time() * 1000) - 40 * 86_400_000
        for number in range(200):
            notification = Notification(
                DeliveryKey("ops", "webhook[0]", f"{number}"),
                "send",
                "firing",
                [alert()],
                (),
                frozenset("a"),
                frozenset(),
            )
            at = old if number < 150 else round(time.time() * 1000)
            delivery = ledger.intend(notification, "{}", "", at).result()
            if number != 3:
                ledger.outcome(
                    delivery,
                    notification,
                    Attempt(True, False, 200, "", 1.0),
                    number=1,
                    at_ms=at,
                    destination="",
                    next_ms=None,
                ).result()
        entries = ledger.recent(1000)
        assert len(entries) == 51  # the open one stays
        assert entries[-1].state == "open"
        assert attempts_of(state, 10) == []
        assert len(ledger.notification_log()) == 50
        assert state.read("SELECT count(*) FROM delivery WHERE body <> ''") == [(1,)]


def test_a_heartbeat_drives_no_page_out_of_the_ledger(tmp_path, monkeypatch):
    monkeypatch.setattr(ledger_module, "KEPT", 50)  # 10,000 take a minute
    with StateDB(tmp_path) as state:
        ledger = Ledger(state)

        def intend(receiver, name):
            notification = Notification(
                DeliveryKey(receiver, "webhook[0]", receiver),
                "send",
                "firing",
                [alert()],
                (),
                frozenset(name),
                frozenset(),
            )
            return ledger.intend(notification, "{}", "", 1000)

        intend("ops", "p")
        intend("ops", "q")
        for _ in range(200):
            last = intend("outside", "w")
        last.result()
        heard = [entry.key.receiver for entry in ledger.recent(1000)]
        assert heard.count("ops") == 2
        assert heard.count("outside") < 200
        sent = Records(state).sent({"p", "x"}, 0, 2000)
        assert [one.receiver for one in sent] == ["ops"]
