"""The tables of state.db, as the scripts that made them.

A new file runs them all; one of an older format the missing ones, in one transaction.
A script that has been released is never edited: append the next.
"""

from __future__ import annotations

SCRIPTS = (
    # 1: rules and their alerts, what each receiver was told, the ledger of deliveries
    """
CREATE TABLE rule (
    id TEXT PRIMARY KEY,         -- JSON: file, group, alert, labels, nth of its equals
    expr TEXT NOT NULL
) STRICT;
CREATE TABLE alert (
    rule TEXT NOT NULL,
    fingerprint TEXT NOT NULL,   -- JSON: the labels in order
    labels TEXT NOT NULL,        -- JSON object
    annotations TEXT NOT NULL,   -- JSON object
    value REAL,                  -- NULL: not a number
    state TEXT NOT NULL,         -- pending, firing, inactive (= resolved)
    active_at_ms INTEGER NOT NULL,
    fired_at_ms INTEGER,
    resolved_at_ms INTEGER,
    keep_firing_since_ms INTEGER,
    PRIMARY KEY (rule, fingerprint)
) STRICT, WITHOUT ROWID;
CREATE TABLE told (
    receiver TEXT NOT NULL,
    integration INTEGER NOT NULL,
    group_key TEXT NOT NULL,
    firing TEXT NOT NULL,        -- JSON list of fingerprints
    resolved TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (receiver, integration, group_key)
) STRICT, WITHOUT ROWID;
CREATE TABLE delivery (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    receiver TEXT NOT NULL,
    integration INTEGER NOT NULL,
    group_key TEXT NOT NULL,
    status TEXT NOT NULL,
    firing TEXT NOT NULL,
    resolved TEXT NOT NULL,
    alertnames TEXT NOT NULL,    -- JSON list
    alerts INTEGER NOT NULL,
    body TEXT NOT NULL,          -- emptied when the delivery is over
    destination TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt_ms INTEGER,
    http_status INTEGER,
    error TEXT NOT NULL DEFAULT '',
    latency_ms REAL,
    finished_ms INTEGER
) STRICT;
CREATE INDEX delivery_open ON delivery (receiver, integration, group_key)
    WHERE state = 'open';
CREATE TABLE attempt (
    delivery INTEGER NOT NULL,
    number INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    http_status INTEGER,
    error TEXT NOT NULL,
    latency_ms REAL NOT NULL,
    PRIMARY KEY (delivery, number)
) STRICT, WITHOUT ROWID;
""",
    # the last result of each thing that drills and checks prove
    """
CREATE TABLE proof (
    kind TEXT NOT NULL,          -- drill, receiver, wake, item, run
    name TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    state TEXT NOT NULL,         -- passed, failed, unverifiable
    detail TEXT NOT NULL,
    more TEXT NOT NULL,          -- what to do next
    seconds REAL,                -- from the fault to the page
    proves TEXT NOT NULL,        -- fingerprint of what was proven
    passed_ms INTEGER,           -- when it last passed
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
""",
    # silences; integrations by the name that Alertmanager's log gives them
    """
CREATE TABLE silence (
    id TEXT PRIMARY KEY,
    matchers TEXT NOT NULL,      -- JSON list of name, operator, value
    starts_ms INTEGER NOT NULL,
    ends_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    comment TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE told_2 (
    receiver TEXT NOT NULL,
    integration TEXT NOT NULL,   -- webhook[0], slack[1]
    group_key TEXT NOT NULL,
    firing TEXT NOT NULL,        -- JSON list of fingerprints
    resolved TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (receiver, integration, group_key)
) STRICT, WITHOUT ROWID;
INSERT INTO told_2 SELECT receiver, 'webhook[' || integration || ']', group_key,
    firing, resolved, at_ms FROM told;
DROP TABLE told;
ALTER TABLE told_2 RENAME TO told;
CREATE TABLE delivery_2 (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    receiver TEXT NOT NULL,
    integration TEXT NOT NULL,
    group_key TEXT NOT NULL,
    status TEXT NOT NULL,
    firing TEXT NOT NULL,
    resolved TEXT NOT NULL,
    alertnames TEXT NOT NULL,    -- JSON list
    alerts INTEGER NOT NULL,
    body TEXT NOT NULL,          -- emptied when the delivery is over
    destination TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt_ms INTEGER,
    http_status INTEGER,
    error TEXT NOT NULL DEFAULT '',
    latency_ms REAL,
    finished_ms INTEGER
) STRICT;
INSERT INTO delivery_2 SELECT id, receiver, 'webhook[' || integration || ']',
    group_key, status, firing, resolved, alertnames, alerts, body, destination, state,
    created_ms, attempts, next_attempt_ms, http_status, error, latency_ms, finished_ms
    FROM delivery;
DROP TABLE delivery;
ALTER TABLE delivery_2 RENAME TO delivery;
CREATE INDEX delivery_open ON delivery (receiver, integration, group_key)
    WHERE state = 'open';
""",
    # incidents with their timelines, deployments, the releases last seen running
    """
CREATE TABLE incident (
    id INTEGER PRIMARY KEY,
    state TEXT NOT NULL,         -- firing, acknowledged, mitigated, resolved, reviewed
    opened_ms INTEGER NOT NULL,
    body TEXT NOT NULL           -- JSON: the rest
) STRICT;
CREATE TABLE incident_event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    incident INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    source TEXT NOT NULL,        -- alert, notifier, person, deploy, monitor
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    author TEXT NOT NULL
) STRICT;
CREATE INDEX incident_event_of ON incident_event (incident, id);
CREATE TABLE deploy (
    id INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    version TEXT NOT NULL,
    author TEXT NOT NULL,        -- empty: seen on processes, nobody said it
    seen_ms INTEGER              -- when processes were first seen to run it
) STRICT;
CREATE TABLE release_seen (
    release TEXT PRIMARY KEY,
    last_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
""",
)
FORMAT = len(SCRIPTS)
