-- `subject` is who caused a record: an account, or a network where there is none. Of one kind each subject
-- has few rows an hour; what comes on top is counted in the last of them (src/audit.rs).
ALTER TABLE audit ADD COLUMN subject TEXT;
ALTER TABLE audit ADD COLUMN times INTEGER NOT NULL DEFAULT 1;
ALTER TABLE audit ADD COLUMN last_at INTEGER;
CREATE INDEX audit_subject ON audit (kind, subject, id);
