//! The SQL of stock: rows in and out, no decisions.

use serde::Serialize;
use wasmart_domain::stock::Level;
use wasmart_domain::text::fold;
use wasmart_service::actor::Actor;
use wasmart_service::clock::{now_ms, rfc3339};
use wasmart_service::db::{Db, DbError, Row, Tx};
use wasmart_service::new_id;

/// An item and its counts.
#[derive(Clone)]
pub struct Item {
    pub id: String,
    pub details: Details,
    pub level: Level,
    pub created_at: i64,
    pub updated_at: i64,
}

/// What managers say of an item.
#[derive(Clone, PartialEq, Eq)]
pub struct Details {
    pub name: String,
    pub description: Option<String>,
    /// Minor units.
    pub price: i64,
    pub archived: bool,
}

/// One change of an item's counts, as managers see it.
#[derive(Serialize)]
pub struct Movement {
    pub id: String,
    pub kind: String,
    pub quantity: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
    /// Who made the movement; absent in movements that are older than this column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<Actor>,
    pub at: String,
}

/// A change of an item's counts.
pub struct Move<'a> {
    pub kind: &'a str,
    pub quantity: i64,
    pub reason: Option<&'a str>,
    pub order_id: Option<&'a str>,
    pub actor: Actor,
}

/// What an order holds of an item.
pub struct Held {
    pub item_id: String,
    pub quantity: u32,
    pub level: Level,
}

/// Items that one tick folds.
const FOLDED_AT_ONCE: i64 = 200;

const ITEM: &str =
    "id, name, description, price, on_hand, reserved, sold, archived, created_at, updated_at";

impl Item {
    fn read(row: &Row) -> Result<Item, DbError> {
        Ok(Item {
            id: row.text(0)?,
            details: Details {
                name: row.text(1)?,
                description: row.opt_text(2)?,
                price: row.int(3)?,
                archived: row.flag(7)?,
            },
            level: Level {
                on_hand: row.int(4)?,
                reserved: row.int(5)?,
                sold: row.int(6)?,
            },
            created_at: row.int(8)?,
            updated_at: row.int(9)?,
        })
    }
}

pub async fn find(db: &Db, id: &str) -> Result<Option<Item>, DbError> {
    let row = db
        .first(&format!("SELECT {ITEM} FROM items WHERE id = ?"), &[&id])
        .await?;
    row.as_ref().map(Item::read).transpose()
}

/// The items of these ids; missing ones are left out.
pub async fn find_all(db: &Db, ids: &[&str]) -> Result<Vec<Item>, DbError> {
    let ids = serde_json::to_string(ids).unwrap_or_default();
    let sql = format!("SELECT {ITEM} FROM items WHERE id IN (SELECT value FROM json_each(?))");
    db.query(&sql, &[&ids])
        .await?
        .iter()
        .map(Item::read)
        .collect()
}

/// Items, newest first, from below `before`. Names are compared in the form of [`fold`]; a name
/// that no tick has folded yet ([`fold_names`]) is compared as SQLite does it.
pub async fn list(
    db: &Db,
    before: &str,
    limit: i64,
    part_of_name: Option<&str>,
    archived: bool,
) -> Result<Vec<Item>, DbError> {
    let sql = format!(
        "SELECT {ITEM} FROM items WHERE id < ?1 AND (archived = 0 OR ?2)
             AND (?3 IS NULL OR instr(folded_name, ?5) > 0
                 OR (folded_name IS NULL AND instr(lower(name), lower(?3)) > 0))
         ORDER BY id DESC LIMIT ?4"
    );
    let folded = part_of_name.map(fold);
    let rows = db
        .query(&sql, &[&before, &archived, &part_of_name, &limit, &folded])
        .await?;
    rows.iter().map(Item::read).collect()
}

/// Those of `ids` that can be ordered.
pub async fn known(db: &Db, ids: &[&str]) -> Result<Vec<String>, DbError> {
    let ids = serde_json::to_string(ids).unwrap_or_default();
    let rows = db
        .query(
            "SELECT id FROM items
             WHERE archived = 0 AND id IN (SELECT value FROM json_each(?))",
            &[&ids],
        )
        .await?;
    rows.iter().map(|row| row.text(0)).collect()
}

pub async fn insert(
    tx: &Tx,
    id: &str,
    new: &Details,
    level: Level,
    actor: &Actor,
) -> Result<Item, DbError> {
    let now = now_ms();
    let row = tx
        .first(
            &format!(
                "INSERT INTO items (id, name, folded_name, description, price, on_hand, created_at,
                                    updated_at)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING {ITEM}"
            ),
            &[
                &id,
                &new.name,
                &fold(&new.name),
                &new.description,
                &new.price,
                &level.on_hand,
                &now,
                &now,
            ],
        )
        .await?;
    if level.on_hand != 0 {
        let first = Move {
            kind: "adjust",
            quantity: level.on_hand,
            reason: Some("first stock"),
            order_id: None,
            actor: actor.clone(),
        };
        record(tx, id, &first).await?;
    }
    row.as_ref().map_or_else(
        || Err(DbError::Failed("no row inserted".into())),
        Item::read,
    )
}

/// Puts other details in place of an item's.
pub async fn change(tx: &Tx, id: &str, to: &Details) -> Result<Option<Item>, DbError> {
    let row = tx
        .first(
            &format!(
                "UPDATE items SET name = ?, folded_name = ?, description = ?, price = ?, archived = ?,
                     updated_at = ?
                 WHERE id = ? RETURNING {ITEM}"
            ),
            &[
                &to.name,
                &fold(&to.name),
                &to.description,
                &to.price,
                &to.archived,
                &now_ms(),
                &id,
            ],
        )
        .await?;
    row.as_ref().map(Item::read).transpose()
}

/// Folds the names of items that are older than the column, a bounded number at once.
pub async fn fold_names(tx: &Tx) -> Result<(), DbError> {
    let sql = "SELECT id, name FROM items WHERE folded_name IS NULL LIMIT ?";
    for row in tx.query(sql, &[&FOLDED_AT_ONCE]).await? {
        tx.execute(
            "UPDATE items SET folded_name = ? WHERE id = ?",
            &[&fold(&row.text(1)?), &row.text(0)?],
        )
        .await?;
    }
    Ok(())
}

pub async fn set_level(tx: &Tx, id: &str, level: Level) -> Result<(), DbError> {
    tx.execute(
        "UPDATE items SET on_hand = ?, reserved = ?, sold = ?, updated_at = ? WHERE id = ?",
        &[&level.on_hand, &level.reserved, &level.sold, &now_ms(), &id],
    )
    .await
}

pub async fn record(tx: &Tx, item_id: &str, moved: &Move<'_>) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO movements
             (id, item_id, kind, quantity, reason, order_id, actor_kind, actor_id, at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        &[
            &new_id(),
            &item_id,
            &moved.kind,
            &moved.quantity,
            &moved.reason,
            &moved.order_id,
            &moved.actor.kind(),
            &moved.actor.id(),
            &now_ms(),
        ],
    )
    .await
}

/// The changes of an item's counts, newest first, from below the one with the id `before`. They are
/// in the order of their commits; the order of ids, which come from a clock, may differ.
pub async fn movements(
    db: &Db,
    item_id: &str,
    before: &str,
    limit: i64,
) -> Result<Vec<Movement>, DbError> {
    let before = db.place_of("movements", before).await?;
    let rows = db
        .query(
            "SELECT id, kind, quantity, reason, order_id, actor_kind, actor_id, at FROM movements
             WHERE item_id = ? AND rowid < ? ORDER BY rowid DESC LIMIT ?",
            &[&item_id, &before, &limit],
        )
        .await?;
    let read = |row: &Row| {
        Ok(Movement {
            id: row.text(0)?,
            kind: row.text(1)?,
            quantity: row.int(2)?,
            reason: row.opt_text(3)?,
            order_id: row.opt_text(4)?,
            actor: Actor::read(row, 5)?,
            at: rfc3339(row.int(7)?),
        })
    };
    rows.iter().map(read).collect()
}

pub async fn hold(tx: &Tx, order_id: &str, item_id: &str, quantity: u32) -> Result<(), DbError> {
    let now = now_ms();
    tx.execute(
        "INSERT INTO reservations (order_id, item_id, quantity, state, created_at, updated_at)
         VALUES (?, ?, ?, 'held', ?, ?)",
        &[&order_id, &item_id, &quantity, &now, &now],
    )
    .await
}

/// What an order still holds, with the counts of each item.
pub async fn held(tx: &Tx, order_id: &str) -> Result<Vec<Held>, DbError> {
    let rows = tx
        .query(
            "SELECT r.item_id, r.quantity, i.on_hand, i.reserved, i.sold
             FROM reservations r JOIN items i ON i.id = r.item_id
             WHERE r.order_id = ? AND r.state = 'held'",
            &[&order_id],
        )
        .await?;
    let read = |row: &Row| {
        Ok(Held {
            item_id: row.text(0)?,
            quantity: row.count(1)?,
            level: Level {
                on_hand: row.int(2)?,
                reserved: row.int(3)?,
                sold: row.int(4)?,
            },
        })
    };
    rows.iter().map(read).collect()
}

/// Ends all that an order holds: `state` is `released` or `sold`.
pub async fn end_hold(tx: &Tx, order_id: &str, state: &str) -> Result<(), DbError> {
    tx.execute(
        "UPDATE reservations SET state = ?, updated_at = ? WHERE order_id = ? AND state = 'held'",
        &[&state, &now_ms(), &order_id],
    )
    .await
}
