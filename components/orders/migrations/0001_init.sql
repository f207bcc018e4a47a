CREATE TABLE orders (
    id          TEXT PRIMARY KEY,
    number      INTEGER NOT NULL UNIQUE,
    user_id     TEXT NOT NULL,
    -- The saga's state and, once it turns back, why (crates/domain, saga.rs).
    state       TEXT NOT NULL,
    reason      TEXT,
    -- When the answer that the state waits for is overdue.
    deadline_at INTEGER,
    -- When the whole way to paid is overdue, whatever the steps have left.
    give_up_at  INTEGER,
    total       INTEGER,
    currency    TEXT NOT NULL,
    address     TEXT,
    traceparent TEXT,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
);
CREATE INDEX orders_user ON orders (user_id, id);
CREATE INDEX orders_deadline ON orders (deadline_at) WHERE deadline_at IS NOT NULL;

CREATE INDEX orders_under_way ON orders (updated_at)
    WHERE state IN ('reserving', 'charging', 'committing', 'refunding', 'releasing');

CREATE TABLE order_lines (
    order_id   TEXT NOT NULL REFERENCES orders (id),
    position   INTEGER NOT NULL,
    item_id    TEXT NOT NULL,
    quantity   INTEGER NOT NULL CHECK (quantity > 0),
    -- Known once stock has reserved.
    name       TEXT,
    unit_price INTEGER,
    PRIMARY KEY (order_id, position)
);

-- Every change of state, in order.
CREATE TABLE order_events (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    order_id   TEXT NOT NULL REFERENCES orders (id),
    event      TEXT NOT NULL,
    from_state TEXT NOT NULL,
    to_state   TEXT NOT NULL,
    reason     TEXT,
    at         INTEGER NOT NULL
);
CREATE INDEX order_events_order ON order_events (order_id, id);
