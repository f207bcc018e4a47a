-- Accounts that were deleted by an earlier version: registration events that nobody has acknowledged still have their data.
UPDATE outbox SET event = json_set(event, '$.data', json_object('user_id', subject))
    WHERE json_extract(event, '$.type') = 'account.registered'
      AND subject IN (SELECT id FROM accounts WHERE deleted_at IS NOT NULL);
