-- The name as searches compare it (crates/domain, `text::fold`). Null until a tick has been there, for items from
-- before this version.
ALTER TABLE items ADD COLUMN folded_name TEXT;
CREATE INDEX items_unfolded ON items (id) WHERE folded_name IS NULL;
