//! The SQL of stock: rows in and out, no decisions.

use serde::Serialize;
use wasmart_domain::money::{CURRENCY, Money};
use wasmart_domain::stock::Level;
use wasmart_domain::text::fold;
use wasmart_service::clock::{now_ms, rfc3339};
use wasmart_service::db::{Db, DbError, Row, Tx};
use wasmart_service::new_id;

/// An item, as clients see it.
#[derive(Serialize)]
pub struct Item {
    pub id: String,
    pub name: String,
    pub description: Option<String>,
    /// Minor units.
    pub price: i64,
    pub currency: &'static str,
    pub on_hand: i64,
    pub reserved: i64,
    /// What can still be ordered.
    pub available: i64,
    pub archived: bool,
    pub created_at: String,
    pub updated_at: String,
    #[serde(skip)]
    sold: i64,
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
    pub at: String,
}

/// What of an item changes.
pub struct ItemChange {
    pub name: Option<String>,
    pub description: Option<String>,
    pub price: Option<Money>,
    pub archived: Option<bool>,
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
        let on_hand = row.int(4)?;
        Ok(Item {
            id: row.text(0)?,
            name: row.text(1)?,
            description: row.opt_text(2)?,
            price: row.int(3)?,
            currency: CURRENCY,
            on_hand,
            reserved: row.int(5)?,
            available: on_hand,
            sold: row.int(6)?,
            archived: row.flag(7)?,
            created_at: rfc3339(row.int(8)?),
            updated_at: rfc3339(row.int(9)?),
        })
    }

    /// Its counts, as the domain knows them.
    pub fn level(&self) -> Level {
        Level {
            on_hand: self.on_hand,
            reserved: self.reserved,
            sold: self.sold,
        }
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

/// Items, newest first, from below `before`. Names are compared as [`fold`] has them; one that no tick has folded
/// yet ([`fold_names`]), as SQLite knows how to.
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
    name: &str,
    description: Option<&str>,
    price: Money,
    level: Level,
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
                &name,
                &fold(name),
                &description,
                &price.minor(),
                &level.on_hand,
                &now,
                &now,
            ],
        )
        .await?;
    if level.on_hand != 0 {
        record(tx, id, "adjust", level.on_hand, Some("first stock"), None).await?;
    }
    row.as_ref().map_or_else(
        || Err(DbError::Failed("no row inserted".into())),
        Item::read,
    )
}

pub async fn change(db: &Db, id: &str, to: &ItemChange) -> Result<Option<Item>, DbError> {
    let row = db
        .first(
            &format!(
                "UPDATE items SET name = coalesce(?1, name), folded_name = coalesce(?7, folded_name),
                     description = coalesce(?2, description), price = coalesce(?3, price),
                     archived = coalesce(?4, archived), updated_at = ?5
                 WHERE id = ?6 RETURNING {ITEM}"
            ),
            &[
                &to.name,
                &to.description,
                &to.price.map(Money::minor),
                &to.archived,
                &now_ms(),
                &id,
                &to.name.as_deref().map(fold),
            ],
        )
        .await?;
    row.as_ref().map(Item::read).transpose()
}

/// Folds the names of items from before there was a column for it, a bounded number at once.
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

pub async fn record(
    tx: &Tx,
    item_id: &str,
    kind: &str,
    quantity: i64,
    reason: Option<&str>,
    order_id: Option<&str>,
) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO movements (id, item_id, kind, quantity, reason, order_id, at)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
        &[
            &new_id(),
            &item_id,
            &kind,
            &quantity,
            &reason,
            &order_id,
            &now_ms(),
        ],
    )
    .await
}

pub async fn movements(
    db: &Db,
    item_id: &str,
    before: &str,
    limit: i64,
) -> Result<Vec<Movement>, DbError> {
    let rows = db
        .query(
            "SELECT id, kind, quantity, reason, order_id, at FROM movements
             WHERE item_id = ? AND id < ? ORDER BY id DESC LIMIT ?",
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
            at: rfc3339(row.int(5)?),
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
