-- Accounts that were deleted by an earlier version, which kept the dead letters about them.
DELETE FROM dead_letters WHERE EXISTS
        (SELECT 1 FROM profiles WHERE deleted_at IS NOT NULL AND instr(dead_letters.raw, profiles.id) > 0)
    AND coalesce(CASE WHEN json_valid(raw) THEN json_extract(raw, '$.type') END, '') <> 'account.deleted';
