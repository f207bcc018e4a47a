-- Accounts that were deleted by an earlier version: their orders still have the traces of the requests.
UPDATE orders SET traceparent = NULL
    WHERE traceparent IS NOT NULL AND user_id IN (SELECT user_id FROM gone_accounts);
