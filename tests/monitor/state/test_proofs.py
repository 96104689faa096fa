"""Results of drills and checks: kept, replaced, bounded, shown with their age."""

from __future__ import annotations

import json
import re
import time

import pytest
from tests.support.waiting import until
from tests.support.watched import request

from watchroom.monitor.state import proofs as proofs_module
from watchroom.monitor.state.database import StateDB
from watchroom.monitor.state.proofs import Proof, Proofs

PATH = "/api/v1/watchroom/proofs"
EVIL = "<script>alert(1)</script>"


def result(kind="drill", name="TooHigh", state="passed", **more):
    return {"kind": kind, "name": name, "at": time.time(), "state": state, **more}


@pytest.fixture
def watch(target, files, monitor):
    files.job(target.address).write()
    return monitor.start().ready()


def post(watch, *results, token=None):
    given = (watch.state / "token").read_text().strip() if token is None else token
    body = json.dumps({"results": results}).encode()
    bearer = {"Authorization": f"Bearer {given}"} if given else {}
    return request(f"http://127.0.0.1:{watch.port}{PATH}", data=body, **bearer)


def test_results_are_kept_shown_and_replaced_and_a_pass_is_remembered(watch):
    assert "Last drill <b>never" in watch.get("/").body
    assert "never checked" in watch.get("/checklist").body
    # Neither a heartbeat nor a drill: in colour, and with what to do.
    first, checklist = watch.get("/").body, watch.get("/checklist").body
    assert '<li class="warn">External heartbeat <b>not set up</b>: name' in first
    (drill,) = re.findall(r'<li class="warn">(.*Last drill.*)</li>', first)
    assert "watchroom drill --all" in drill
    (item,) = re.findall(r'<li class="(\w+)">\s*<h3>External heartbeat', checklist)
    assert item == "warn"
    assert "Next: name a heartbeat service in WATCHROOM" in checklist
    assert '<b class="warn">never: run <code>watchroom drill --all' in checklist
    done = post(
        watch,
        result(seconds=6.5),
        result("run", "drill --all", detail="16 of 16 arrived"),
        result("item", "scraping", detail=f"3 of 3 up {EVIL}"),
        result("item", "team", "unverifiable", more="watchroom drill --wake NAME"),
        result("item", "heartbeat", "failed", more="set HEARTBEAT"),
    )
    assert done.status == 200, done.body
    page = watch.get("/checklist").body
    assert "1 of 13 launch items verified" in page
    assert EVIL not in page
    assert "can&#39;t be verified here" in page
    assert "Next: set HEARTBEAT" in page
    assert "16 of 16 arrived" in page
    # The first page is made anew every half interval.
    until(lambda: "16 of 16 arrived" in watch.get("/").body, what="the last drill")
    assert 'href="checklist"' in watch.get("/").body
    assert post(watch, result(state="failed", detail="routed: no route")).status == 200
    kept = {(one["kind"], one["name"]): one for one in watch.get(PATH).json["data"]}
    assert kept["drill", "TooHigh"]["state"] == "failed"
    assert kept["drill", "TooHigh"]["passed_at"] == pytest.approx(time.time(), abs=60)
    assert kept["item", "team"]["passed_at"] is None


def test_only_the_token_makes_a_checklist_green(watch):
    for token in ("", "wrong"):
        assert post(watch, result(), token=token).status == 401
    assert watch.get(PATH).json["data"] == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"kind": "x"}, "kind must be one of"),
        ({"state": "green"}, "state must be one of"),
        ({"name": ""}, "1 to 200"),
        ({"at": time.time() + 9000}, "in the future"),
        ({"at": "now"}, "float"),
    ],
)
def test_what_will_not_do_is_refused_with_its_place(watch, body, said):
    answer = post(watch, {**result(), **body})
    assert answer.status == 400
    assert said in answer.json["error"]


def test_the_oldest_of_a_kind_make_room(tmp_path, monkeypatch):
    monkeypatch.setattr(proofs_module, "MOST_OF_A_KIND", 3)  # not so many commits
    with StateDB(tmp_path) as state:
        proofs = Proofs(state)
        for at in range(5):
            one = Proof(kind="drill", name=f"n{at}", at=at + 1.0, state="passed")
            proofs.note([one], 100.0).result()
        proofs.note([Proof("run", "all", 1.0, "passed")], 100.0).result()
        names = [proof.name for proof in proofs.all()]
    assert names == ["n2", "n3", "n4", "all"]


def test_when_a_receiver_last_accepted_a_message_is_reported(watch, target, pages):
    target.paths["/metrics"] = "m 9\n"

    def row():
        (found,) = watch.get("/api/v1/watchroom/receivers").json["data"] or [None]
        return found

    taken = until(lambda: (row() or {}).get("accepted_at") and row(), what="taken")
    assert taken["receiver"] == "ops"
    assert taken["accepted_at"] == pytest.approx(time.time(), abs=60)
    assert (taken["failed_at"], taken["error"]) == (None, "")
    pages.status = 404
    target.paths["/metrics"] = "m 1\n"
    refused = until(lambda: row()["error"] and row(), what="refused")
    assert "404" in refused["error"]
    assert refused["failed_at"] >= refused["accepted_at"]
