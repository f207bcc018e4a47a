-- Who changed a profile last; nobody is named in rows from before.
ALTER TABLE profiles ADD COLUMN updated_by_kind TEXT;
ALTER TABLE profiles ADD COLUMN updated_by_id TEXT;
