-- Accounts that are deleted: nothing is ordered for them any more. `settled_at` says that none of their orders
-- moves money any more, and that billing has been told.
CREATE TABLE gone_accounts (
    user_id    TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL,
    settled_at INTEGER
);
