-- One row from the day on which the shop has its first administrator. It stays when that account is
-- demoted or deleted, so the variables never make a second one.
CREATE TABLE first_admin (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    at INTEGER NOT NULL
);
-- A deleted account keeps its role. One that was demoted is known from the audit, as is what only
-- administrators do.
INSERT INTO first_admin (id, at)
SELECT 1, unixepoch() * 1000
WHERE EXISTS (SELECT 1 FROM accounts WHERE role = 'admin')
   OR EXISTS (SELECT 1 FROM audit
              WHERE kind IN ('role.changed', 'account.disabled', 'account.enabled'));

-- `parent` is the token that this one was given for. `repeated_at` says when a used token was taken once
-- more, because its answer may have been lost (src/refresh.rs).
ALTER TABLE refresh_tokens ADD COLUMN parent TEXT;
ALTER TABLE refresh_tokens ADD COLUMN repeated_at INTEGER;
CREATE INDEX refresh_tokens_parent ON refresh_tokens (parent) WHERE parent IS NOT NULL;
