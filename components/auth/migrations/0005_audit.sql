-- Who came in, who was refused, and what was changed of accounts and keys. No secrets, no names: ids.
CREATE TABLE audit (
    id         TEXT PRIMARY KEY,
    kind       TEXT NOT NULL,
    -- Whom it concerns, and who did it where that is somebody else.
    account_id TEXT,
    actor_id   TEXT,
    -- The network it came from.
    client     TEXT,
    detail     TEXT,
    at         INTEGER NOT NULL
);
CREATE INDEX audit_kind ON audit (kind, id);
CREATE INDEX audit_account ON audit (account_id, id);
CREATE INDEX audit_age ON audit (at);
