-- Mails to write, until something delivers them. Users never see this table. `event_id` makes a repeated event
-- one mail; a mail that is used or past its end loses what it says and to whom, and its row a day later.
CREATE TABLE mails (
    id         TEXT PRIMARY KEY,
    event_id   TEXT NOT NULL UNIQUE,
    user_id    TEXT NOT NULL,
    kind       TEXT NOT NULL,
    recipient  TEXT,
    title      TEXT,
    text       TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
);
CREATE INDEX mails_user ON mails (user_id);
CREATE INDEX mails_end ON mails (expires_at);
