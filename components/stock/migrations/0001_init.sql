CREATE TABLE items (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    description TEXT,
    price       INTEGER NOT NULL CHECK (price >= 0),
    on_hand     INTEGER NOT NULL CHECK (on_hand >= 0),
    reserved    INTEGER NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    sold        INTEGER NOT NULL DEFAULT 0 CHECK (sold >= 0),
    archived    INTEGER NOT NULL DEFAULT 0,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
);

-- What orders hold or have bought; the state is held, released or sold.
CREATE TABLE reservations (
    order_id   TEXT NOT NULL,
    item_id    TEXT NOT NULL REFERENCES items (id),
    quantity   INTEGER NOT NULL CHECK (quantity > 0),
    state      TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (order_id, item_id)
);

-- Every change of an item's counts. Kinds: adjust, reserve, release, commit.
CREATE TABLE movements (
    id       TEXT PRIMARY KEY,
    item_id  TEXT NOT NULL REFERENCES items (id),
    kind     TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    reason   TEXT,
    order_id TEXT,
    at       INTEGER NOT NULL
);
CREATE INDEX movements_item ON movements (item_id, id);
