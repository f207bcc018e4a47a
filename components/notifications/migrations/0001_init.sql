-- What a user was told. `event_id` is what makes a repeated event one notification.
CREATE TABLE notifications (
    id         TEXT PRIMARY KEY,
    event_id   TEXT NOT NULL UNIQUE,
    user_id    TEXT NOT NULL,
    kind       TEXT NOT NULL,
    text       TEXT NOT NULL,
    order_id   TEXT,
    created_at INTEGER NOT NULL,
    read_at    INTEGER
);
CREATE INDEX notifications_user ON notifications (user_id, id);

-- Accounts that are gone: what comes late for them is not kept.
CREATE TABLE tombstones (
    user_id    TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL
);
