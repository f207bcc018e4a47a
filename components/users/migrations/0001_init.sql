-- One row per account, made at the news of its registration, or earlier, from its token, when its
-- owner is faster than the news. A deleted account keeps its row, empty: nothing makes it again.
CREATE TABLE profiles (
    id            TEXT PRIMARY KEY,
    email         TEXT,
    username      TEXT,
    first_name    TEXT,
    last_name     TEXT,
    phone         TEXT,
    language      TEXT,
    registered    INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    deleted_at    INTEGER
);
