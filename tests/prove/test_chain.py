"""Which servers a proof speaks to, and by which token."""

from __future__ import annotations

import pytest
from tests.support.ports import free_port

from watchroom.errors import ConfigError
from watchroom.prove.chain import View, find_chain, real_pages

TOKEN = "the-monitors"


def guarded(answer):
    """Return what a monitor answers that wants its token."""

    def say(asked):
        if asked.headers.get("Authorization") == f"Bearer {TOKEN}":
            return answer
        return 401, {"status": "error", "error": "this needs the token"}

    return say


@pytest.fixture
def monitor(peer):
    status = {"config": {"original": "route: {}"}}
    nothing = {"data": {"alerts": [], "result": []}}
    peer.paths |= {
        "/api/v2/status": guarded(status),
        "/api/v2/alerts": guarded([]),
        "/api/v1/alerts": guarded(nothing),
        "/api/v1/query": guarded(nothing),
    }
    return peer


def test_a_monitor_that_wants_its_token_is_given_it(monitor) -> None:
    chain = find_chain(monitor.url, "", "http://127.0.0.1:9", "", TOKEN)
    assert chain.embedded
    assert chain.alertmanager == monitor.url
    assert chain.routing_text() == "route: {}"
    view = View(chain)
    assert (view.up("x"), view.alerts("x"), view.routed("x")) == (None, [], [])
    assert real_pages(chain) == []


def test_alertmanager_is_not_sent_the_monitors_token(monitor, peer) -> None:
    peer.paths["/api/v2/status"] = {"config": {"original": "route: {}"}}
    chain = find_chain(monitor.url, "", "", "", TOKEN)._replace(embedded=False)
    peer.asked.clear()
    chain.routing_text()
    assert "Authorization" not in peer.asked[0].headers


@pytest.mark.parametrize(
    ("token", "said"), [("", "needs a token"), ("wrong", "refused the token")]
)
def test_a_wrong_token_is_named_with_its_remedy(monitor, token, said) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        find_chain(monitor.url, "", "", "", token)
    assert "WATCHROOM_TOKEN" in str(caught.value)


def test_nobody_there_is_named_with_its_remedy() -> None:
    with pytest.raises(ConfigError, match="is `watchroom run` running"):
        find_chain(f"http://127.0.0.1:{free_port()}", "", "", "", "")
