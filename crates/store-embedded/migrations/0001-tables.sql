-- Times are milliseconds since 1970-01-01T00:00:00Z. `forget_at` is when the sweep may take a row.

CREATE TABLE requests (
    id          TEXT PRIMARY KEY,
    client      TEXT NOT NULL,
    asked_scope TEXT NOT NULL,
    scope       TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    interval    INTEGER NOT NULL,
    mailbox     BLOB NOT NULL,
    origin      BLOB NOT NULL,
    version     INTEGER NOT NULL,
    op          TEXT NOT NULL,
    fence       INTEGER NOT NULL,
    spent       TEXT NOT NULL,
    state       TEXT NOT NULL,
    -- Of an authorized or an approved request: the trip, the end of its lease or of its hand-over, what is sealed.
    attempt     TEXT,
    until       INTEGER,
    approved_at INTEGER,
    payload     BLOB,
    forget_at   INTEGER NOT NULL
) STRICT;

CREATE INDEX requests_forget_at ON requests (forget_at);

CREATE TABLE user_codes (
    place     TEXT PRIMARY KEY,
    request   TEXT NOT NULL,
    -- The end of the cool-down: the code may come again.
    free_from INTEGER NOT NULL,
    forget_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE attempts (
    id        TEXT PRIMARY KEY,
    forget_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE counters (
    id        TEXT PRIMARY KEY,
    count     INTEGER NOT NULL,
    forget_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
