//! Whether the books add up: the invariants of a shop that is quiet, read straight from its
//! databases. It trusts nothing that the services say, and shares no code with them.

use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// The services, each with a database of its name.
pub const SERVICES: [&str; 6] = [
    "auth",
    "users",
    "stock",
    "billing",
    "orders",
    "notifications",
];

/// All databases of a shop, opened for reading.
pub struct Books {
    connection: Connection,
    /// Those that are there: a service makes its tables when it is first used.
    services: Vec<&'static str>,
}

/// An invariant: what it says, the databases it needs, and a query whose rows break it.
struct Rule {
    says: &'static str,
    needs: &'static [&'static str],
    broken_by: &'static str,
}

/// The steps that the saga may take (`docs/architecture.md`), written down a second time on purpose.
const MOVES: &str = "
    ('draft', 'reserving'), ('draft', 'canceled'),
    ('reserving', 'charging'), ('reserving', 'releasing'), ('reserving', 'canceled'),
    ('charging', 'paid'), ('charging', 'refunding'), ('charging', 'releasing'),
    ('paid', 'committing'), ('paid', 'refunding'),
    ('committing', 'completed'), ('refunding', 'releasing'), ('releasing', 'canceled')";

const RULES: &[Rule] = &[
    Rule {
        says: "no count of an item is negative, and all that was ever put in is somewhere",
        needs: &["stock"],
        broken_by: "SELECT id, name, on_hand, reserved, sold FROM stock.items i
            WHERE on_hand < 0 OR reserved < 0 OR sold < 0 OR on_hand + reserved + sold <>
                (SELECT coalesce(sum(quantity), 0) FROM stock.movements m
                 WHERE m.item_id = i.id AND m.kind = 'adjust')",
    },
    Rule {
        says: "what is reserved and sold is what orders hold and have bought",
        needs: &["stock"],
        broken_by: "SELECT id, name, reserved, sold FROM stock.items i
            WHERE reserved <> (SELECT coalesce(sum(quantity), 0) FROM stock.reservations r
                               WHERE r.item_id = i.id AND r.state = 'held')
               OR sold <> (SELECT coalesce(sum(quantity), 0) FROM stock.reservations r
                           WHERE r.item_id = i.id AND r.state = 'sold')",
    },
    Rule {
        says: "nothing is held without an open order, nor sold without a completed one",
        needs: &["stock", "orders"],
        broken_by: "SELECT r.order_id, r.item_id, r.state, o.state FROM stock.reservations r
            LEFT JOIN orders.orders o ON o.id = r.order_id
            WHERE (r.state = 'held' AND coalesce(o.state, '') <> 'paid')
               OR (r.state = 'sold' AND coalesce(o.state, '') <> 'completed')",
    },
    Rule {
        says: "every line of an order paid for is held, of one completed is sold",
        needs: &["stock", "orders"],
        broken_by: "SELECT o.id, l.item_id, l.quantity, r.quantity FROM orders.orders o
            JOIN orders.order_lines l ON l.order_id = o.id
            LEFT JOIN stock.reservations r ON r.order_id = o.id AND r.item_id = l.item_id
                AND r.state = CASE o.state WHEN 'paid' THEN 'held' ELSE 'sold' END
            WHERE o.state IN ('paid', 'completed') AND r.quantity IS NOT l.quantity",
    },
    Rule {
        says: "all accounts of the ledger together hold nothing, and no wallet less than that",
        needs: &["billing"],
        broken_by: "SELECT 'sum', sum(balance) FROM billing.accounts HAVING sum(balance) <> 0
            UNION ALL SELECT code, balance FROM billing.accounts
            WHERE user_id IS NOT NULL AND balance < 0",
    },
    Rule {
        says: "each account holds what its transactions brought and took",
        needs: &["billing"],
        broken_by: "SELECT code, balance FROM billing.accounts a WHERE balance <>
            (SELECT coalesce(sum(CASE WHEN credit = a.code THEN amount ELSE 0 END)
                  - sum(CASE WHEN debit = a.code THEN amount ELSE 0 END), 0)
             FROM billing.transactions WHERE a.code IN (debit, credit))",
    },
    Rule {
        says: "each transaction says what its wallet held afterwards",
        needs: &["billing"],
        broken_by: "SELECT id, kind, balance FROM (SELECT *, sum(
                CASE WHEN kind IN ('deposit', 'refund') THEN amount ELSE -amount END)
                OVER (PARTITION BY user_id ORDER BY rowid) AS is_now FROM billing.transactions)
            WHERE balance <> is_now",
    },
    Rule {
        says: "an order is charged at most once and refunded at most once",
        needs: &["billing"],
        broken_by: "SELECT order_id, kind, count(*) FROM billing.transactions
            WHERE order_id IS NOT NULL GROUP BY order_id, kind HAVING count(*) > 1",
    },
    Rule {
        says: "what was charged and not refunded is the total of an order paid for, and nothing of any other",
        needs: &["billing", "orders"],
        broken_by: "SELECT id, state, total, kept FROM (SELECT o.*,
                (SELECT coalesce(sum(CASE kind WHEN 'charge' THEN amount ELSE -amount END), 0)
                 FROM billing.transactions t WHERE t.order_id = o.id) AS kept
                FROM orders.orders o)
            WHERE kept <> CASE WHEN state IN ('paid', 'completed') THEN total ELSE 0 END
               OR (state IN ('paid', 'completed') AND total IS NULL)",
    },
    Rule {
        says: "no order is charged for that is none",
        needs: &["billing", "orders"],
        broken_by: "SELECT t.id, t.order_id FROM billing.transactions t
            LEFT JOIN orders.orders o ON o.id = t.order_id
            WHERE t.order_id IS NOT NULL AND (o.id IS NULL OR o.user_id <> t.user_id)",
    },
    Rule {
        says: "the total of an order is the sum of its lines",
        needs: &["orders"],
        broken_by: "SELECT o.id, o.total FROM orders.orders o WHERE o.total IS NOT NULL AND o.total <>
            (SELECT sum(quantity * unit_price) FROM orders.order_lines l WHERE l.order_id = o.id)",
    },
    Rule {
        says: "the history of an order is a chain from draft to where it stands",
        needs: &["orders"],
        broken_by: "SELECT order_id, event, from_state, came_from FROM (SELECT *,
                lag(to_state, 1, 'draft') OVER (PARTITION BY order_id ORDER BY id) AS came_from
                FROM orders.order_events) WHERE from_state <> came_from
            UNION ALL SELECT id, state, NULL, NULL FROM orders.orders o WHERE state <> coalesce(
                (SELECT to_state FROM orders.order_events e WHERE e.order_id = o.id
                 ORDER BY id DESC LIMIT 1), 'draft')",
    },
    Rule {
        says: "an order that was canceled says why, and no other does",
        needs: &["orders"],
        broken_by: "SELECT id, state, reason FROM orders.orders
            WHERE (state = 'canceled') <> (reason IS NOT NULL)",
    },
    Rule {
        says: "nobody is told twice of the same",
        needs: &["notifications"],
        broken_by: "SELECT user_id, order_id, kind, count(*) FROM notifications.notifications
            WHERE order_id IS NOT NULL GROUP BY user_id, order_id, kind HAVING count(*) > 1
            UNION ALL SELECT user_id, event_id, kind, count(*) FROM notifications.notifications
            GROUP BY event_id HAVING count(*) > 1",
    },
    Rule {
        says: "of every step that concerns the customer, the customer was told",
        needs: &["notifications", "orders"],
        broken_by: "SELECT e.order_id, e.to_state, kind FROM orders.order_events e
            JOIN orders.orders o ON o.id = e.order_id
            JOIN (SELECT 'reserving' AS state, 'order.created' AS kind UNION SELECT 'paid', 'order.paid'
                  UNION SELECT 'completed', 'order.completed') told ON told.state = e.to_state
            WHERE NOT EXISTS (SELECT 1 FROM notifications.notifications n
                WHERE n.user_id = o.user_id AND n.order_id = o.id AND n.kind = told.kind)
              AND o.user_id NOT IN (SELECT user_id FROM notifications.tombstones)
            UNION ALL SELECT id, state, reason FROM orders.orders o
            WHERE state = 'canceled' AND NOT EXISTS (SELECT 1 FROM notifications.notifications n
                WHERE n.order_id = o.id AND n.kind = CASE
                    WHEN o.reason IN ('canceled_by_customer', 'canceled_by_staff', 'account_deleted')
                    THEN 'order.canceled' ELSE 'order.rejected' END)
              AND o.user_id NOT IN (SELECT user_id FROM notifications.tombstones)",
    },
];

impl Books {
    /// Opens the databases of a folder.
    ///
    /// # Panics
    /// When one that is there can't be read.
    pub fn open(databases: &Path) -> Books {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(":memory:", flags).expect("SQLite works");
        connection
            .busy_timeout(std::time::Duration::from_secs(5))
            .expect("a timeout");
        let mut books = Books {
            connection,
            services: vec![],
        };
        for service in SERVICES {
            let path = databases.join(format!("{service}.db"));
            if path.exists() {
                let file = format!("file:{}?mode=ro", path.display());
                let attach = format!("ATTACH '{file}' AS {service}");
                books
                    .connection
                    .execute_batch(&attach)
                    .unwrap_or_else(|e| panic!("{file}: {e}"));
                let ready =
                    format!("SELECT count(*) FROM {service}.sqlite_master WHERE name = 'outbox'");
                if books.number(&ready) == 1 {
                    books.services.push(service);
                }
            }
        }
        books
    }

    /// What is still to be done: unanswered events, unfinished orders.
    pub fn under_way(&self) -> Vec<String> {
        let outboxes = self.services.iter().flat_map(|service| {
            let unanswered = format!("SELECT channel, event FROM {service}.outbox");
            let say = |row: String| format!("{service} waits for an answer to {row}");
            self.rows(&unanswered)
                .into_iter()
                .map(say)
                .collect::<Vec<_>>()
        });
        let mut under_way: Vec<String> = outboxes.collect();
        if self.services.contains(&"orders") {
            let waiting = "SELECT id, state FROM orders.orders
                WHERE state IN ('reserving', 'charging', 'committing', 'refunding', 'releasing')";
            under_way.extend(self.rows(waiting));
        }
        under_way
    }

    /// Every row that breaks a rule. `dead_letters` is how many messages should have been set aside.
    pub fn faults(&self, dead_letters: usize) -> Vec<String> {
        let mut faults = self.under_way();
        for rule in RULES {
            if rule
                .needs
                .iter()
                .all(|service| self.services.contains(service))
            {
                let rows = self.rows(rule.broken_by);
                faults.extend(rows.into_iter().map(|row| format!("{}: {row}", rule.says)));
            }
        }
        if self.services.contains(&"orders") {
            let illegal = format!(
                "SELECT order_id, event, from_state, to_state FROM orders.order_events
                 WHERE (from_state, to_state) NOT IN (VALUES {MOVES})"
            );
            faults.extend(
                self.rows(&illegal)
                    .into_iter()
                    .map(|row| format!("no such step: {row}")),
            );
        }
        let dead = self.dead_letters();
        if dead.len() != dead_letters {
            faults.push(format!(
                "{dead_letters} dead letters expected, not {dead:#?}"
            ));
        }
        faults
    }

    /// What was set aside: the service, the event's id, the reason.
    pub fn dead_letters(&self) -> Vec<String> {
        let rows = self.services.iter().flat_map(|service| {
            let sql = format!("SELECT '{service}', event_id, reason FROM {service}.dead_letters");
            self.rows(&sql)
        });
        rows.collect()
    }

    /// The number that a query gives.
    pub fn number(&self, sql: &str) -> i64 {
        let number = self.connection.query_row(sql, [], |row| row.get(0));
        number.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// How many rows each table has that a client's request could have added to: what must stay the
    /// same when a request is refused.
    pub fn counts(&self) -> Vec<(String, i64)> {
        let mut counts = Vec::new();
        for service in &self.services {
            let tables = format!("SELECT name FROM {service}.sqlite_master WHERE type = 'table'");
            for table in self.rows(&tables) {
                if !table.starts_with("sqlite_") && table != "drain_lease" {
                    let name = format!("{service}.{table}");
                    let count = self.number(&format!("SELECT count(*) FROM {name}"));
                    counts.push((name, count));
                }
            }
        }
        counts
    }

    fn rows(&self, sql: &str) -> Vec<String> {
        let fail = |error: rusqlite::Error| -> ! { panic!("{sql}: {error}") };
        let mut query = self
            .connection
            .prepare(sql)
            .unwrap_or_else(|error| fail(error));
        let columns = query.column_count();
        let read = |row: &rusqlite::Row| {
            let values = (0..columns).map(|at| row.get_ref(at).map(text));
            Ok(values.collect::<Result<Vec<_>, _>>()?.join(" | "))
        };
        let rows = query
            .query_map([], read)
            .unwrap_or_else(|error| fail(error));
        rows.map(|row| row.unwrap_or_else(|error| fail(error)))
            .collect()
    }
}

fn text(value: rusqlite::types::ValueRef) -> String {
    use rusqlite::types::ValueRef;
    match value {
        ValueRef::Null => "-".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Blob(bytes) => format!("{} bytes", bytes.len()),
    }
}
