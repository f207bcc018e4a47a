-- Counts what ends the sessions of an account: another role, another password, a lock, a logout everywhere.
-- Tokens that were made for an earlier generation are not given out any more.
ALTER TABLE accounts ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
-- Set while an administrator keeps the account out.
ALTER TABLE accounts ADD COLUMN disabled_at INTEGER;
-- Hashes that were brought along from elsewhere, by their cost; empty once all have logged in.
CREATE INDEX accounts_bcrypt ON accounts (substr(password_hash, 5, 2))
    WHERE substr(password_hash, 1, 2) = '$2';
CREATE INDEX accounts_role ON accounts (role);

-- Tokens that set a new password, by their hash. A used one is gone.
CREATE TABLE password_resets (
    hash       TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    expires_at INTEGER NOT NULL
);
CREATE INDEX password_resets_account ON password_resets (account_id);
CREATE INDEX password_resets_end ON password_resets (expires_at);
