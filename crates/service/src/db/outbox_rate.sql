-- What is sent for the first time goes before what is repeated, and repeats are counted for a second by
-- whoever holds the lease.
ALTER TABLE drain_lease ADD COLUMN repeats_since INTEGER NOT NULL DEFAULT 0;
ALTER TABLE drain_lease ADD COLUMN repeats INTEGER NOT NULL DEFAULT 0;
DROP INDEX outbox_due;
CREATE INDEX outbox_first ON outbox (attempts) WHERE attempts = 0;
CREATE INDEX outbox_again ON outbox (next_attempt_at) WHERE attempts > 0;
