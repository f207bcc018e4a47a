//! The invariants, each as a query whose rows break it. They are written down here a second time on
//! purpose: this crate shares no code with the services it checks.
//!
//! A rule over several databases may be broken for a moment while the shop runs: the databases are read
//! one after the other, orders first, and messages are under way. Such a rule says so, and counts
//! only when the same row breaks it twice, some time apart.

/// An invariant: what it says, the databases it needs, and a query whose rows break it.
pub(crate) struct Rule {
    pub says: &'static str,
    pub needs: &'static [&'static str],
    pub broken_by: &'static str,
}

const fn rule(says: &'static str, needs: &'static [&'static str], broken_by: &'static str) -> Rule {
    Rule {
        says,
        needs,
        broken_by,
    }
}

/// How long an order may wait for an answer before it must be done or listed as needing a person:
/// the default saga deadline and two minutes of slack, in milliseconds.
pub(crate) const PATIENCE_MS: i64 = 240_000;

pub(crate) const RULES: &[Rule] = &[
    rule(
        "no count of an item is negative, and on hand + reserved + sold is all that was put in",
        &["stock"],
        "SELECT id, name, on_hand, reserved, sold FROM stock.items i
         WHERE on_hand < 0 OR reserved < 0 OR sold < 0 OR on_hand + reserved + sold <>
             (SELECT coalesce(sum(quantity), 0) FROM stock.movements m
              WHERE m.item_id = i.id AND m.kind = 'adjust')",
    ),
    rule(
        "what is reserved and sold is what orders hold and have bought",
        &["stock"],
        "SELECT id, name, reserved, sold FROM stock.items
         LEFT JOIN (SELECT item_id, sum(quantity) FILTER (WHERE state = 'held') AS held,
                           sum(quantity) FILTER (WHERE state = 'sold') AS bought
                    FROM stock.reservations GROUP BY item_id) ON item_id = id
         WHERE reserved <> coalesce(held, 0) OR sold <> coalesce(bought, 0)",
    ),
    rule(
        "nothing is held without an open order, nor sold without one that is being completed",
        &["orders", "stock"],
        "SELECT r.order_id, r.item_id, r.state, o.state FROM stock.reservations r
         LEFT JOIN orders.orders o ON o.id = r.order_id
         WHERE (r.state = 'held' AND coalesce(o.state, '') IN ('', 'draft', 'canceled', 'completed'))
            OR (r.state = 'sold' AND coalesce(o.state, '') NOT IN ('committing', 'completed'))",
    ),
    rule(
        "every line of an order paid for is held, of one completed is sold",
        &["orders", "stock"],
        "SELECT o.id, l.item_id, l.quantity, r.quantity FROM orders.orders o
         JOIN orders.order_lines l ON l.order_id = o.id
         LEFT JOIN stock.reservations r ON r.order_id = o.id AND r.item_id = l.item_id
             AND r.state = CASE o.state WHEN 'paid' THEN 'held' ELSE 'sold' END
         WHERE o.state IN ('paid', 'completed') AND r.quantity IS NOT l.quantity",
    ),
    rule(
        "all accounts of the ledger together hold nothing, and no wallet less than that",
        &["billing"],
        "SELECT 'sum', sum(balance) FROM billing.accounts HAVING sum(balance) <> 0
         UNION ALL SELECT code, balance FROM billing.accounts
         WHERE user_id IS NOT NULL AND balance < 0",
    ),
    rule(
        "each account holds what its transactions brought and took",
        &["billing"],
        "SELECT code, balance, moved FROM billing.accounts
         LEFT JOIN (SELECT account, sum(amount) AS moved FROM (
                        SELECT credit AS account, amount FROM billing.transactions
                        UNION ALL SELECT debit, -amount FROM billing.transactions)
                    GROUP BY account) ON account = code
         WHERE balance <> coalesce(moved, 0)",
    ),
    rule(
        "each transaction says what its wallet held afterwards",
        &["billing"],
        "SELECT id, kind, balance FROM (SELECT *, sum(
                 CASE WHEN kind IN ('deposit', 'refund') THEN amount ELSE -amount END)
                 OVER (PARTITION BY user_id ORDER BY rowid) AS is_now FROM billing.transactions)
         WHERE balance <> is_now",
    ),
    rule(
        "an order is charged at most once and refunded at most once",
        &["billing"],
        "SELECT order_id, kind, count(*) FROM billing.transactions
         WHERE order_id IS NOT NULL GROUP BY order_id, kind HAVING count(*) > 1",
    ),
    rule(
        "what was charged and not refunded is the total of an order paid for, and nothing of one \
         canceled or not begun",
        &["orders", "billing"],
        "SELECT id, state, total, kept FROM (SELECT o.*,
                 (SELECT coalesce(sum(CASE kind WHEN 'charge' THEN amount ELSE -amount END), 0)
                  FROM billing.transactions t WHERE t.order_id = o.id) AS kept
                 FROM orders.orders o)
         WHERE (state IN ('paid', 'committing', 'completed') AND kept IS NOT total)
            OR (state IN ('draft', 'reserving', 'canceled') AND kept <> 0)",
    ),
    rule(
        "no order is charged for that is none",
        &["orders", "billing"],
        "SELECT t.id, t.order_id FROM billing.transactions t
         LEFT JOIN orders.orders o ON o.id = t.order_id
         WHERE t.order_id IS NOT NULL AND (o.id IS NULL OR o.user_id <> t.user_id)",
    ),
    rule(
        "the total of an order is the sum of its lines",
        &["orders"],
        "SELECT o.id, o.total FROM orders.orders o WHERE o.total IS NOT NULL AND o.total <>
             (SELECT sum(quantity * unit_price) FROM orders.order_lines l WHERE l.order_id = o.id)",
    ),
    rule(
        "the history of an order is a chain from draft to where it stands",
        &["orders"],
        "SELECT order_id, event, from_state, came_from FROM (SELECT *,
                 lag(to_state, 1, 'draft') OVER (PARTITION BY order_id ORDER BY id) AS came_from
                 FROM orders.order_events) WHERE from_state <> came_from
         UNION ALL SELECT id, state, NULL, NULL FROM orders.orders o WHERE state <> coalesce(
             (SELECT to_state FROM orders.order_events e WHERE e.order_id = o.id
              ORDER BY id DESC LIMIT 1), 'draft')",
    ),
    rule(
        "every change of state is one that the saga's table allows",
        &["orders"],
        "SELECT order_id, event, from_state, to_state FROM orders.order_events
         WHERE (from_state, to_state) NOT IN (VALUES
             ('draft', 'reserving'), ('draft', 'canceled'),
             ('reserving', 'charging'), ('reserving', 'releasing'), ('reserving', 'canceled'),
             ('charging', 'paid'), ('charging', 'refunding'), ('charging', 'releasing'),
             ('paid', 'committing'), ('paid', 'refunding'),
             ('committing', 'completed'), ('refunding', 'releasing'), ('releasing', 'canceled'))",
    ),
    rule(
        "an order that turned back says why, and no other does",
        &["orders"],
        "SELECT id, state, reason FROM orders.orders
         WHERE (state IN ('refunding', 'releasing', 'canceled')) <> (reason IS NOT NULL)",
    ),
    rule(
        "an order that waits for an answer still has its question in the outbox",
        &["orders"],
        "SELECT id, state FROM orders.orders o
         WHERE state IN ('reserving', 'charging', 'committing', 'refunding', 'releasing')
           AND NOT EXISTS (SELECT 1 FROM orders.outbox b WHERE b.subject = o.id
               AND json_extract(b.event, '$.type') = CASE o.state
                   WHEN 'reserving' THEN 'stock.reserve' WHEN 'charging' THEN 'payment.charge'
                   WHEN 'committing' THEN 'stock.commit' WHEN 'refunding' THEN 'payment.refund'
                   ELSE 'stock.release' END)",
    ),
    rule(
        "no order waits for ever without being listed as needing a person",
        &["orders"],
        "SELECT id, state, updated_at FROM orders.orders o
         WHERE state IN ('reserving', 'charging', 'committing', 'refunding', 'releasing')
           AND updated_at < ?now - ?patience
           AND NOT EXISTS (SELECT 1 FROM orders.outbox b WHERE b.subject = o.id
               AND b.channel <> 'notifications'
               AND (b.attempts >= 8 OR b.created_at <= ?now - 150000))",
    ),
    rule(
        "nobody is told twice of the same",
        &["notifications"],
        "SELECT user_id, order_id, kind, count(*) FROM notifications.notifications
         WHERE order_id IS NOT NULL GROUP BY user_id, order_id, kind HAVING count(*) > 1
         UNION ALL SELECT user_id, event_id, kind, count(*) FROM notifications.notifications
         GROUP BY event_id HAVING count(*) > 1",
    ),
    rule(
        "of every step that concerns the customer, the customer was told or is about to be",
        &["orders", "notifications"],
        "WITH told (order_id, user_id, kind) AS (
             SELECT e.order_id, o.user_id, CASE e.to_state
                     WHEN 'reserving' THEN 'order.created' WHEN 'paid' THEN 'order.paid'
                     WHEN 'completed' THEN 'order.completed'
                     ELSE CASE WHEN o.reason IN
                             ('canceled_by_customer', 'canceled_by_staff', 'account_deleted')
                         THEN 'order.canceled' ELSE 'order.rejected' END END
             FROM orders.order_events e JOIN orders.orders o ON o.id = e.order_id
             WHERE e.to_state IN ('reserving', 'paid', 'completed', 'canceled'))
         SELECT order_id, user_id, kind FROM told
         WHERE (user_id, order_id, kind) NOT IN (
                   SELECT user_id, order_id, kind FROM notifications.notifications
                   WHERE order_id IS NOT NULL)
           AND NOT EXISTS (SELECT 1 FROM orders.outbox b WHERE b.subject = told.order_id
                   AND json_extract(b.event, '$.type') = told.kind)
           AND user_id NOT IN (SELECT user_id FROM notifications.tombstones)
           -- An account keeps its newest thousand.
           AND (SELECT count(*) FROM notifications.notifications n WHERE n.user_id = told.user_id)
               < 1000",
    ),
    rule(
        "a closed wallet holds nothing",
        &["billing"],
        "SELECT code, balance FROM billing.accounts WHERE closed_at IS NOT NULL AND balance <> 0",
    ),
    rule(
        "the wallet of a deleted account is closed, or about to be",
        &["auth", "orders", "billing"],
        "SELECT a.id FROM auth.accounts a JOIN billing.accounts w ON w.user_id = a.id
         WHERE a.deleted_at IS NOT NULL AND w.closed_at IS NULL
           AND NOT EXISTS (SELECT 1 FROM orders.orders o WHERE o.user_id = a.id
                   AND o.state NOT IN ('completed', 'canceled'))
           AND NOT EXISTS (SELECT 1 FROM auth.outbox b WHERE b.subject = a.id)
           AND NOT EXISTS (SELECT 1 FROM orders.outbox b WHERE b.subject = a.id)",
    ),
    rule(
        "no order of a deleted account has an address",
        &["auth", "orders"],
        "SELECT o.id FROM orders.orders o JOIN auth.accounts a ON a.id = o.user_id
         WHERE a.deleted_at IS NOT NULL AND o.address IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM auth.outbox b WHERE b.subject = a.id)",
    ),
];
