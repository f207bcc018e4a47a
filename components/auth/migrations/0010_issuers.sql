-- When an email was shown to be its owner's: by a provider whose word counts. Null: anyone may have
-- typed it in.
ALTER TABLE accounts ADD COLUMN email_verified_at INTEGER;

-- Whom other issuers know an account as. `changes` counts what the guards should hear of the account
-- (barred, another role), `told` is the count that the key-value store has.
CREATE TABLE identities (
    issuer     TEXT NOT NULL,
    subject    TEXT NOT NULL,
    account_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    changes    INTEGER NOT NULL DEFAULT 1,
    told       INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX identities_account ON identities (account_id);
CREATE INDEX identities_untold ON identities (changes) WHERE told <> changes;

-- When another issuer was last asked for its keys, whichever host did.
CREATE TABLE issuer_fetches (
    issuer   TEXT PRIMARY KEY,
    asked_at INTEGER NOT NULL
);

-- Sign-ins with a provider that are under way: each ends at its first answer, or after ten minutes.
-- State and browser are kept by their hashes.
CREATE TABLE sign_ins (
    state      TEXT PRIMARY KEY,
    browser    TEXT NOT NULL,
    provider   TEXT NOT NULL,
    nonce      TEXT NOT NULL,
    verifier   TEXT NOT NULL,
    expires_at INTEGER NOT NULL
);
CREATE INDEX sign_ins_end ON sign_ins (expires_at);
