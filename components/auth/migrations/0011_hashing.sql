-- Password hashes: those that run, and those that wait for their turn (src/hashing.rs). The entry of an
-- instance that died is passed over after `until`.
CREATE TABLE hashing (
    -- Ids are made in the order of arrival.
    id      TEXT PRIMARY KEY,
    network TEXT NOT NULL,
    running INTEGER NOT NULL,
    until   INTEGER NOT NULL
);
