-- The tables of state.db, for a new file.
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
CREATE TABLE notification_log (  -- what each receiver accepted last, by group
    receiver TEXT NOT NULL,
    integration TEXT NOT NULL,   -- webhook[0], slack[1]
    group_key TEXT NOT NULL,
    firing TEXT NOT NULL,        -- JSON list of fingerprints
    resolved TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (receiver, integration, group_key)
) STRICT, WITHOUT ROWID;
CREATE TABLE delivery (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    receiver TEXT NOT NULL,
    integration TEXT NOT NULL,
    group_key TEXT NOT NULL,
    status TEXT NOT NULL,        -- firing, resolved
    firing TEXT NOT NULL,
    resolved TEXT NOT NULL,
    alertnames TEXT NOT NULL,    -- JSON list
    alerts INTEGER NOT NULL,
    body TEXT NOT NULL,          -- emptied once the delivery has ended
    destination TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL,         -- open, sent, failed, superseded, dropped
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
CREATE TABLE proof (             -- the last result of each thing that was proven
    kind TEXT NOT NULL,          -- drill, receiver, wake, item, run, sent
    name TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    state TEXT NOT NULL,         -- passed, failed, unverifiable
    detail TEXT NOT NULL,
    next_step TEXT NOT NULL,
    seconds REAL,                -- from the fault to the page
    fingerprint TEXT NOT NULL,   -- of what was proven
    passed_ms INTEGER,           -- when it last passed
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE silence (
    id TEXT PRIMARY KEY,
    matchers TEXT NOT NULL,      -- JSON list of name, operator, value
    starts_ms INTEGER NOT NULL,
    ends_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    comment TEXT NOT NULL
) STRICT, WITHOUT ROWID;
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
    author TEXT NOT NULL,        -- empty: seen on processes, not announced
    seen_ms INTEGER              -- when processes were first seen to run it
) STRICT;
CREATE TABLE release_seen (
    release TEXT PRIMARY KEY,
    last_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
