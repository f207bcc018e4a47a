-- One row per account. A deleted account keeps its id, and nothing that says whose it was.
CREATE TABLE accounts (
    id            TEXT PRIMARY KEY,
    email         TEXT UNIQUE,
    username      TEXT UNIQUE,
    password_hash TEXT NOT NULL,
    role          TEXT NOT NULL,
    created_at    INTEGER NOT NULL,
    deleted_at    INTEGER
);

-- One row per refresh token, kept by its hash until its family ends: a used one that comes again is
-- how a theft is noticed. All tokens that descend from one login are a family.
CREATE TABLE refresh_tokens (
    hash       TEXT PRIMARY KEY,
    family     TEXT NOT NULL,
    account_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER,
    revoked_at INTEGER
);
CREATE INDEX refresh_tokens_family ON refresh_tokens (family);
CREATE INDEX refresh_tokens_account ON refresh_tokens (account_id);
CREATE INDEX refresh_tokens_end ON refresh_tokens (expires_at);

-- One row per access token that may still be in use, so that those of a family or an account can be
-- revoked. `revoked_at` is the decision, `applied_at` says that the key-value store knows of it.
CREATE TABLE access_tokens (
    jti        TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    family     TEXT NOT NULL,
    token_hash TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER,
    applied_at INTEGER
);
CREATE INDEX access_tokens_family ON access_tokens (family);
CREATE INDEX access_tokens_account ON access_tokens (account_id);
CREATE INDEX access_tokens_end ON access_tokens (expires_at);
CREATE INDEX access_tokens_pending ON access_tokens (revoked_at)
    WHERE revoked_at IS NOT NULL AND applied_at IS NULL;
