-- Accounts that were deleted by an earlier version, which kept the dead letters about them.
DELETE FROM dead_letters WHERE EXISTS (SELECT 1 FROM tombstones WHERE instr(dead_letters.raw, tombstones.user_id) > 0)
    AND coalesce(CASE WHEN json_valid(raw) THEN json_extract(raw, '$.type') END, '') <> 'account.deleted';
