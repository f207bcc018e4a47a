-- Who made a change; nobody is named in rows from before.
ALTER TABLE order_events ADD COLUMN actor_kind TEXT;
ALTER TABLE order_events ADD COLUMN actor_id TEXT;

-- Lists are in the order of `number`, which is the order of the commits; ids are made before them.
DROP INDEX orders_user;
CREATE INDEX orders_user_number ON orders (user_id, number);
CREATE INDEX orders_user_state ON orders (user_id, state, number);
CREATE INDEX orders_user_pending ON orders (user_id, number)
    WHERE state NOT IN ('draft', 'paid', 'committing', 'completed', 'canceled');

-- Drafts that nobody has touched for long are deleted, and so are those that were called off.
CREATE INDEX orders_drafts ON orders (updated_at) WHERE state = 'draft';
CREATE INDEX order_events_dropped ON order_events (at)
    WHERE from_state = 'draft' AND to_state = 'canceled';
