-- Accounts that were deleted by an earlier version, which kept the dead letters about them.
DELETE FROM dead_letters WHERE json_valid(raw) AND json_extract(raw, '$.type') = 'account.registered'
    AND EXISTS (SELECT 1 FROM accounts WHERE closed_at IS NOT NULL AND instr(dead_letters.raw, accounts.user_id) > 0);
