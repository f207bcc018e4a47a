-- What people did to sagas and dead letters, with who it was and why.
CREATE TABLE operator_actions (
    id         TEXT PRIMARY KEY,
    at         INTEGER NOT NULL,
    action     TEXT NOT NULL,
    subject    TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id   TEXT,
    reason     TEXT
);
CREATE INDEX operator_actions_subject ON operator_actions (subject, id);
