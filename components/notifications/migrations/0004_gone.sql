-- Of accounts that were deleted before dead letters were looked through.
DELETE FROM dead_letters WHERE EXISTS (SELECT 1 FROM tombstones WHERE instr(dead_letters.raw, tombstones.user_id) > 0)
    AND coalesce(CASE WHEN json_valid(raw) THEN json_extract(raw, '$.type') END, '') <> 'account.deleted';
