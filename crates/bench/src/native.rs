//! The native server to compare with: axum and rusqlite, no sandbox, no token check, the shop's own
//! files and the same queries. Run as a process of its own, as the hosts are.

use anyhow::Context;
use axum::extract::{Path as PathOf, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};
use serde::Serialize;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

/// The server's process, seen from the bench.
pub struct Native {
    child: Child,
    pub at: SocketAddr,
}

impl Native {
    /// Starts this program again as the server.
    pub fn start(databases: &Path) -> anyhow::Result<Native> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--native-server")
            .arg(databases)
            .stdout(Stdio::piped())
            .spawn()?;
        let out = child.stdout.take().context("no output")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let at = line.trim().parse().context("the native server ended")?;
        Ok(Native { child, at })
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// One open database; handlers take turns with as many connections as they need at once.
struct Database {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

struct Databases {
    stock: Database,
    orders: Database,
    billing: Database,
}

impl Database {
    fn new(folder: &Path, name: &str) -> Database {
        Database {
            path: folder.join(name),
            idle: Mutex::default(),
        }
    }

    fn with<R>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<R>,
    ) -> Result<R, StatusCode> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle().pop();
        let failed = |_| StatusCode::INTERNAL_SERVER_ERROR;
        let connection = match kept {
            Some(connection) => connection,
            None => Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE)
                .map_err(failed)?,
        };
        let result = read(&connection).map_err(failed);
        idle().push(connection);
        result
    }
}

/// Serves until it is killed; its first line says where.
pub async fn serve(folder: &Path) -> anyhow::Result<()> {
    let databases = Arc::new(Databases {
        stock: Database::new(folder, "stock.db"),
        orders: Database::new(folder, "orders.db"),
        billing: Database::new(folder, "billing.db"),
    });
    let router = Router::new()
        .route("/empty", get(async || ()))
        .route("/health", get(async || r#"{"status":"ok"}"#))
        .route("/items", get(items))
        .route("/orders/{id}", get(order))
        .route("/balance/{user}", get(balance))
        .with_state(databases);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
        stream.set_nodelay(true).ok();
    });
    axum::serve(listener, router).await?;
    Ok(())
}

#[derive(Serialize)]
struct Page<T> {
    data: Vec<T>,
}

#[derive(Serialize)]
struct Item {
    id: String,
    name: String,
    description: Option<String>,
    price: i64,
    currency: &'static str,
    on_hand: i64,
    reserved: i64,
    available: i64,
    archived: bool,
    created_at: String,
    updated_at: String,
}

async fn items(State(databases): State<Arc<Databases>>) -> Result<Json<Page<Item>>, StatusCode> {
    let read = |row: &Row<'_>| {
        Ok(Item {
            id: row.get(0)?,
            name: row.get(1)?,
            description: row.get(2)?,
            price: row.get(3)?,
            currency: "EUR",
            on_hand: row.get(4)?,
            reserved: row.get(5)?,
            available: row.get(4)?,
            archived: row.get(7)?,
            created_at: rfc3339(row.get(8)?),
            updated_at: rfc3339(row.get(9)?),
        })
    };
    let data = databases.stock.with(|db| {
        db.prepare_cached(
            "SELECT id, name, description, price, on_hand, reserved, sold, archived, created_at,
                 updated_at
             FROM items WHERE id < ?1 AND (archived = 0 OR ?2)
                 AND (?3 IS NULL OR instr(lower(name), lower(?3)) > 0)
             ORDER BY id DESC LIMIT ?4",
        )?
        .query_map(params!["~", false, None::<String>, 21], read)?
        .collect()
    })?;
    Ok(Json(Page { data }))
}

#[derive(Serialize)]
struct Order {
    id: String,
    number: i64,
    status: String,
    lines: Vec<OrderLine>,
    total: Option<i64>,
    currency: String,
    created_at: String,
    updated_at: String,
}

#[derive(Serialize)]
struct OrderLine {
    item_id: String,
    name: Option<String>,
    quantity: i64,
    unit_price: Option<i64>,
}

async fn order(
    State(databases): State<Arc<Databases>>,
    PathOf(id): PathOf<String>,
) -> Result<Json<Order>, StatusCode> {
    let read = |row: &Row<'_>| {
        Ok(Order {
            id: row.get(0)?,
            number: row.get(1)?,
            status: row.get(3)?,
            lines: vec![],
            total: row.get(5)?,
            currency: row.get(6)?,
            created_at: rfc3339(row.get(9)?),
            updated_at: rfc3339(row.get(10)?),
        })
    };
    let line = |row: &Row<'_>| {
        Ok(OrderLine {
            item_id: row.get(1)?,
            name: row.get(3)?,
            quantity: row.get(2)?,
            unit_price: row.get(4)?,
        })
    };
    let found = databases.orders.with(|db| {
        let order = db
            .prepare_cached(
                "SELECT id, number, user_id, state, reason, total, currency, address, traceparent,
                     created_at, updated_at, deadline_at, give_up_at
                 FROM orders WHERE id = ?",
            )?
            .query_row([&id], read)
            .optional()?;
        let Some(order) = order else { return Ok(None) };
        let lines = db
            .prepare_cached(
                "SELECT order_id, item_id, quantity, name, unit_price FROM order_lines
                 WHERE order_id IN (SELECT value FROM json_each(?)) ORDER BY order_id, position",
            )?
            .query_map([format!("[\"{id}\"]")], line)?
            .collect::<Result<_, _>>()?;
        Ok(Some(Order { lines, ..order }))
    })?;
    found.map(Json).ok_or(StatusCode::NOT_FOUND)
}

#[derive(Serialize)]
struct Balance {
    balance: i64,
    currency: &'static str,
}

async fn balance(
    State(databases): State<Arc<Databases>>,
    PathOf(user): PathOf<String>,
) -> Result<Json<Balance>, StatusCode> {
    let balance = databases.billing.with(|db| {
        db.prepare_cached("SELECT balance, closed_at FROM accounts WHERE user_id = ?")?
            .query_row([&user], |row| row.get(0))
            .optional()
    })?;
    let balance = balance.ok_or(StatusCode::NOT_FOUND)?;
    Ok(Json(Balance {
        balance,
        currency: "EUR",
    }))
}

fn rfc3339(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| format!("{time:.3}"))
}
