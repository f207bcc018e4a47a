//! Sees orders end without asking the shop: reads the rows that orders appends to its history, read-only,
//! every millisecond. 256 clients that poll over HTTP would be most of the load; this is one query.

use anyhow::Context;
use rusqlite::{Connection, OpenFlags};
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

const EVERY: Duration = Duration::from_millis(1);

/// How an order ended, and when that was seen.
#[derive(Clone, Copy)]
pub struct End {
    pub at: Instant,
    pub paid: bool,
}

enum Order {
    Ended(End),
    Wanted(oneshot::Sender<End>),
}

type Orders = Arc<Mutex<HashMap<String, Order>>>;

/// Watches until dropped.
pub struct Watch {
    orders: Orders,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Watches what comes after now.
    pub fn start(database: &Path) -> anyhow::Result<Watch> {
        let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(Duration::from_secs(1))?;
        let last = "SELECT coalesce(max(id), 0) FROM order_events";
        let last: i64 = connection.query_row(last, [], |row| row.get(0))?;
        let (orders, stop) = (Orders::default(), Arc::<AtomicBool>::default());
        let (seen, stopped) = (orders.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let mut last = last;
            while !stopped.load(Ordering::Relaxed) {
                // What can't be read now is read a millisecond later.
                look(&connection, &mut last, &seen).ok();
                std::thread::sleep(EVERY);
            }
        });
        Ok(Watch {
            orders,
            stop,
            thread: Some(thread),
        })
    }

    /// The end of an order, which may have been seen already.
    pub async fn end(&self, order: &str) -> anyhow::Result<End> {
        let receiver = {
            let mut orders = lock(&self.orders);
            if let Some(Order::Ended(end)) = orders.remove(order) {
                return Ok(end);
            }
            let (sender, receiver) = oneshot::channel();
            orders.insert(order.to_owned(), Order::Wanted(sender));
            receiver
        };
        let end = tokio::time::timeout(Duration::from_secs(120), receiver).await;
        Ok(end.with_context(|| format!("order {order} does not end"))??)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn look(connection: &Connection, last: &mut i64, orders: &Orders) -> rusqlite::Result<()> {
    let sql = "SELECT id, order_id, to_state FROM order_events WHERE id > ? ORDER BY id";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([*last])?;
    while let Some(row) = rows.next()? {
        let state: String = row.get(2)?;
        if state == "paid" || state == "canceled" {
            let end = End {
                at: Instant::now(),
                paid: state == "paid",
            };
            ended(orders, row.get(1)?, end);
        }
        *last = row.get(0)?;
    }
    Ok(())
}

fn ended(orders: &Orders, id: String, end: End) {
    let mut orders = lock(orders);
    match orders.remove(&id) {
        Some(Order::Wanted(sender)) => drop(sender.send(end)),
        _ => drop(orders.insert(id, Order::Ended(end))),
    }
}

/// A panic while it was held leaves nothing half done.
fn lock(orders: &Orders) -> MutexGuard<'_, HashMap<String, Order>> {
    orders.lock().unwrap_or_else(PoisonError::into_inner)
}
