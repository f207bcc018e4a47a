-- Who moved money; nobody is named in rows from before.
ALTER TABLE transactions ADD COLUMN actor_kind TEXT;
ALTER TABLE transactions ADD COLUMN actor_id TEXT;

-- A statement is in the order of the ledger, which is that of the commits; an index has the rowid at its end.
CREATE INDEX transactions_of_user ON transactions (user_id);
DROP INDEX transactions_user;
-- How many deposits and withdrawals there were in a day.
CREATE INDEX transactions_moved ON transactions (user_id)
    WHERE kind IN ('deposit', 'withdrawal');
