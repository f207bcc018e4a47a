-- Sagas under way, by what they are not: one in a state that this version does not know (a newer one
-- wrote it) is under way too.
DROP INDEX orders_under_way;
CREATE INDEX orders_unsettled ON orders (updated_at)
    WHERE state NOT IN ('draft', 'paid', 'completed', 'canceled');
