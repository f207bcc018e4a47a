-- Wrong passwords and the like, as buckets that leak: `level` is in milliseconds, as is what a failure adds.
-- Nothing is let through before `until`. The keys are hashes (src/throttle.rs).
CREATE TABLE attempts (
    key    TEXT PRIMARY KEY,
    level  INTEGER NOT NULL,
    until  INTEGER NOT NULL,
    at     INTEGER NOT NULL
);
CREATE INDEX attempts_age ON attempts (at);

-- From where an account has logged in lately, as hashes.
CREATE TABLE known_networks (
    account_id TEXT NOT NULL,
    network    TEXT NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (account_id, network)
);
CREATE INDEX known_networks_age ON known_networks (at);
