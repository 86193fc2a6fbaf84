-- Registered clients and what is known of keys. `forget_at` is null where a record stays.
CREATE TABLE records (
    id        TEXT PRIMARY KEY,
    version   INTEGER NOT NULL,
    data      TEXT NOT NULL,
    forget_at INTEGER
) STRICT, WITHOUT ROWID;
