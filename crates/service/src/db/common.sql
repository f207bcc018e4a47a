CREATE TABLE migrations (
    version    INTEGER PRIMARY KEY,
    applied_at INTEGER NOT NULL
);

-- Events on their way out. A row stays until it is answered; it is sent again while it is not.
CREATE TABLE outbox (
    id              TEXT PRIMARY KEY,
    channel         TEXT NOT NULL,
    subject         TEXT,
    event           TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    attempts        INTEGER NOT NULL DEFAULT 0,
    next_attempt_at INTEGER NOT NULL
);
CREATE INDEX outbox_due ON outbox (next_attempt_at);
CREATE INDEX outbox_subject ON outbox (subject);

-- Who sends what is due; one at a time. The fence tells a holder that was passed over.
CREATE TABLE drain_lease (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    fence INTEGER NOT NULL,
    until INTEGER NOT NULL
);
INSERT INTO drain_lease (id, fence, until) VALUES (1, 0, 0);

-- What has been done for whom: the proof that an effect happens at most once.
CREATE TABLE barrier (
    subject    TEXT NOT NULL,
    step       TEXT NOT NULL,
    operation  TEXT NOT NULL,
    answer     TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (subject, step, operation)
);

-- What could not be understood or handled, kept for a person.
CREATE TABLE dead_letters (
    id         TEXT PRIMARY KEY,
    event_id   TEXT,
    raw        TEXT NOT NULL,
    reason     TEXT NOT NULL,
    created_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX dead_letters_event ON dead_letters (event_id) WHERE event_id IS NOT NULL;

-- Answers given under an Idempotency-Key.
CREATE TABLE idempotency (
    caller      TEXT NOT NULL,
    key         TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    status      INTEGER NOT NULL,
    location    TEXT,
    body        TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (caller, key)
);
CREATE INDEX idempotency_age ON idempotency (created_at);
