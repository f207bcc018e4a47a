-- Of accounts that were deleted before this was looked for: what still waits to be told of their registration.
UPDATE outbox SET event = json_set(event, '$.data', json_object('user_id', subject))
    WHERE json_extract(event, '$.type') = 'account.registered'
      AND subject IN (SELECT id FROM accounts WHERE deleted_at IS NOT NULL);
