-- Who changed the counts of an item; nobody is named in rows from before.
ALTER TABLE movements ADD COLUMN actor_kind TEXT;
ALTER TABLE movements ADD COLUMN actor_id TEXT;

-- A list of movements is in the order in which they were committed; an index has the rowid at its end.
CREATE INDEX movements_of_item ON movements (item_id);
DROP INDEX movements_item;

-- What was changed of an item beside its counts: made, changed, archived, restored. `changes` is a JSON object
-- of the old and the new value of each field.
CREATE TABLE item_changes (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    item_id    TEXT NOT NULL REFERENCES items (id),
    kind       TEXT NOT NULL,
    changes    TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id   TEXT,
    at         INTEGER NOT NULL
);
CREATE INDEX item_changes_item ON item_changes (item_id, id);
