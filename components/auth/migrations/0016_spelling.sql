-- Email and username as administrators' searches compare them, with a line break between (src/spelling.rs). Null:
-- an account from before this version, whose email and username may not be in their one spelling yet.
ALTER TABLE accounts ADD COLUMN folded TEXT;
CREATE INDEX accounts_unfolded ON accounts (id) WHERE folded IS NULL AND deleted_at IS NULL;
-- Most are: in ASCII there is one spelling, but for domains that stand for others.
UPDATE accounts SET folded = lower(coalesce(email, '')) || char(10) || lower(coalesce(username, ''))
WHERE deleted_at IS NULL AND coalesce(email, '') || coalesce(username, '') NOT GLOB '*[^ -~]*'
    AND coalesce(email, '') NOT LIKE '%xn--%';
