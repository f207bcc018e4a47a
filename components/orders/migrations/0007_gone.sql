-- Of accounts that were deleted before this was looked for: whose requests their orders came from.
UPDATE orders SET traceparent = NULL
    WHERE traceparent IS NOT NULL AND user_id IN (SELECT user_id FROM gone_accounts);
