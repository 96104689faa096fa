-- The tables of samples.db. Bodies have a table of their own: reading all of `block`
-- at start touches no body.
CREATE TABLE target (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    labels TEXT NOT NULL               -- JSON: name, value, name, value, …
) STRICT;
CREATE TABLE layout (                  -- the rows of blocks: which series, in order
    id INTEGER PRIMARY KEY,
    metric TEXT NOT NULL,
    series BLOB NOT NULL
) STRICT;
CREATE TABLE times (                   -- the timestamp column that blocks share
    id INTEGER PRIMARY KEY,
    target INTEGER NOT NULL,
    first_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    columns INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE TABLE block (
    id INTEGER PRIMARY KEY,
    times INTEGER NOT NULL,
    layout INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT;
CREATE TABLE body (id INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
CREATE TABLE dead (                    -- merged or expired; a snapshot may still read
    id INTEGER PRIMARY KEY             -- of times, whose blocks go with it
) STRICT;
CREATE TABLE journal (
    id INTEGER PRIMARY KEY,
    target INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
