-- The accounts of the ledger: wallets (`wallet:<user>`), `external` and `sales`. Their sum is zero.
CREATE TABLE accounts (
    code       TEXT PRIMARY KEY,
    user_id    TEXT UNIQUE,
    currency   TEXT NOT NULL,
    balance    INTEGER NOT NULL DEFAULT 0,
    closed_at  INTEGER,
    created_at INTEGER NOT NULL,
    CHECK (user_id IS NULL OR balance >= 0)
);

-- Every movement: `amount` leaves `debit` and reaches `credit`. Never changed, never deleted.
CREATE TABLE transactions (
    id         TEXT PRIMARY KEY,
    kind       TEXT NOT NULL,
    debit      TEXT NOT NULL REFERENCES accounts (code),
    credit     TEXT NOT NULL REFERENCES accounts (code),
    amount     INTEGER NOT NULL CHECK (amount > 0),
    user_id    TEXT NOT NULL,
    order_id   TEXT,
    balance    INTEGER NOT NULL,
    created_at INTEGER NOT NULL
);
CREATE INDEX transactions_user ON transactions (user_id, id);
CREATE INDEX transactions_order ON transactions (order_id) WHERE order_id IS NOT NULL;
