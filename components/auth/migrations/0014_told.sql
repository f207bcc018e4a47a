-- Revocations are written to the key-value store, written once more, and then sealed: the store gets the same mark as
-- this row. A store with another mark, or none, has lost something (src/told.rs). The mark is empty while everything is
-- being written again.
CREATE TABLE told (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    mark TEXT NOT NULL
);
INSERT INTO told (id, mark) VALUES (1, '');
ALTER TABLE access_tokens ADD COLUMN sealed_at INTEGER;
CREATE INDEX access_tokens_unsealed ON access_tokens (revoked_at)
    WHERE revoked_at IS NOT NULL AND sealed_at IS NULL;
ALTER TABLE identities ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0;
CREATE INDEX identities_unsealed ON identities (changes) WHERE sealed <> changes;
