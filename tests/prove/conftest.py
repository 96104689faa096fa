"""A built directory, and one HTTP server that plays every peer of the checklist."""

from __future__ import annotations

import json
import time

import pytest
from tests.support.peer import Peer
from tests.support.plans import built, planned, put

from watchroom.cli.servers import read_built
from watchroom.prove.chain import Chain
from watchroom.prove.checklist.world import World
from watchroom.prove.drills.results import rule_marks
from watchroom.prove.records import ProofRecord, Result


@pytest.fixture
def peer():
    found = Peer()
    yield found
    found.close()


@pytest.fixture(scope="session")
def texts():
    """The files of one build, made once."""
    return built(planned())


@pytest.fixture
def world(peer, tmp_path, texts):
    """Return a function that makes a world whose every peer is `peer`."""

    def make(known=(), *, environ=None, embedded=True, change=None, **more):
        put(tmp_path, texts)
        if change is not None:
            path = tmp_path / "watchroom.json"
            document = json.loads(path.read_text())
            change(document)
            path.write_text(json.dumps(document))
        now = time.time()
        return World(
            built=read_built(tmp_path),
            chain=Chain(peer.url, peer.url, peer.url, "", embedded),
            known={
                (one.kind, one.name): ProofRecord(
                    one, one.at if one.state == "passed" else None
                )
                for one in known
            },
            now=now,
            environ=environ or {},
            **more,
        )

    return make


@pytest.fixture
def drilled(world):
    """Return a function that makes the results of a drill of every rule."""

    def make(days=1.0, **changes):
        marks = rule_marks(world().built.manifest)
        at = time.time() - days * 86400
        return [
            Result("drill", alert, at, "passed", "arrived", of=mark)._replace(**changes)
            for alert, mark in marks.items()
        ]

    return make
