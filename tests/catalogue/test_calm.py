"""What must stay calm beside a fault, in the eyes of promtool."""

import pytest
from tests.support import promtool
from tests.support.plans import planned
from tests.support.promtool import case, firing

pytestmark = [pytest.mark.judge, promtool.needed]
JOB = 'job="app",instance="h"'
UP = f"up{{{JOB}}}"
TASK = f'celery_task_failed_total{{{JOB},name="mail"}}'
SENT = 'alertmanager_notifications_failed_total{job="alertmanager",instance="m",%s}'
MACHINE = "node_memory_Mem%s_bytes{%s}"
NAMED = f'{JOB},name="machine"'
NODE = 'job="node",instance="h"'


def memory(total, available, labels=NAMED):
    return {
        MACHINE % ("Total", labels): f"{total}+0x9",
        MACHINE % ("Available", labels): f"{available}+0x9",
    }


def limited(used, limit):
    group = f'{{{JOB},name="shop"}}'
    return {
        f"container_memory_working_set_bytes{group}": f"{used}+0x9",
        f"container_spec_memory_limit_bytes{group}": f"{limit}+0x9",
    }


CASES = [
    # A minute of answers, one of none, then as before: a window later it is no news.
    case(
        "an exporter was away, and the failures are as old as before",
        {UP: "1+0x4 0+0x3 1+0x20", TASK: "7+0x4 stale _x3 7+0x20"},
        *(firing("CeleryTaskFailed", at, 0) for at in ("90s", "2m30s", "3m30s", "4m")),
    ),
    case(
        "a task that a running exporter did not have has failed",
        {UP: "1+0x20", TASK: "_x12 1+0x9"},
        firing("CeleryTaskFailed", "2m45s", 0),
        firing("CeleryTaskFailed", "3m15s", 1, name="mail"),
    ),
    case(
        "the receipts of drills are not accepted",
        {SENT % 'integration="webhook",receiver_name="drill"': "0+1x9"},
        firing("NotificationFailing", "90s", 0),
    ),
    case(
        "pages are not accepted, as both kinds of monitor count",
        {
            SENT % 'integration="webhook",receiver_name="ops"': "0+1x9",
            SENT % 'integration="email"': "0+1x9",
        },
        firing("NotificationFailing", "90s", 2),
    ),
    case(
        "nothing limits the app, and the machine is nearly full",
        memory(1000, 190),
        firing("MemoryHigh", "90s", 1, name="machine", instance="h", job="app"),
    ),
    case(
        "the machine has room",
        memory(1000, 210),
        firing("MemoryHigh", "90s", 0),
    ),
    case(
        "a limit has room on a machine that is full, as node_exporter sees it",
        limited(500, 1000) | memory(1000, 10, NODE),
        firing("MemoryHigh", "90s", 0),
    ),
    case(
        "a limit is near",
        limited(810, 1000),
        firing("MemoryHigh", "90s", 1, name="shop"),
    ),
]


def test_what_pages_and_what_does_not(tmp_path):
    made = planned(interval="15s", window="2m", for_="30s")
    groups = {"watchroom.celery", "watchroom.watch", "watchroom.host"}
    promtool.check(tmp_path, made, groups, CASES)
