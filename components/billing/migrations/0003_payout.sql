-- A closed wallet holds nothing: what it has goes back to where its deposits came from. Here for wallets
-- that were closed before that was so.
INSERT INTO transactions (id, kind, debit, credit, amount, user_id, order_id, balance, created_at)
SELECT printf('%08x-%04x-7000-8000-%012x', unixepoch() * 1000 >> 16, unixepoch() * 1000 & 65535, rowid),
       'payout', code, 'external', balance, user_id, NULL, 0, unixepoch() * 1000
FROM accounts WHERE closed_at IS NOT NULL AND balance > 0;
UPDATE accounts SET balance = balance +
    (SELECT coalesce(sum(balance), 0) FROM accounts WHERE closed_at IS NOT NULL AND balance > 0)
WHERE code = 'external';
UPDATE accounts SET balance = 0 WHERE closed_at IS NOT NULL;
