//! Brings a database to the version the component knows: embedded, numbered, each applied once and
//! whole.

use super::{Db, DbError};
use crate::{Service, clock};
use std::sync::atomic::{AtomicBool, Ordering};

/// One version of a schema.
pub struct Migration {
    /// 1, 2, 3 … A database that is further than the component, after a roll-back, is left as it is: so a
    /// version may add, but what the one before needs must stay.
    pub version: i64,
    /// Statements, each ended by `;` at the end of a line.
    pub sql: &'static str,
}

/// Tables that every service has, as version 0.
const COMMON: Migration = Migration {
    version: 0,
    sql: include_str!("common.sql"),
};

static DONE: AtomicBool = AtomicBool::new(false);

/// Once in the life of an instance: looks whether anything is missing, and applies it.
pub(super) async fn once(db: &Db, service: &Service) -> Result<(), DbError> {
    if DONE.load(Ordering::Relaxed) {
        return Ok(());
    }
    let newest = service
        .migrations
        .last()
        .map_or(0, |migration| migration.version);
    if version(db).await? < newest {
        // Once per file; a wish, as libSQL keeps its own journal.
        db.run("PRAGMA journal_mode = WAL", vec![]).await.ok();
        apply(db, service).await?;
    }
    DONE.store(true, Ordering::Relaxed);
    Ok(())
}

/// The newest version applied; -1 for an empty file.
async fn version(db: &Db) -> Result<i64, DbError> {
    let known = db
        .first(
            "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'migrations'",
            &[],
        )
        .await?;
    if known.is_none() {
        return Ok(-1);
    }
    let row = db
        .first("SELECT coalesce(max(version), -1) FROM migrations", &[])
        .await?;
    row.map_or(Ok(-1), |row| row.int(0))
}

/// Two instances may come here at once: the second waits for the lock and finds nothing left to do.
async fn apply(db: &Db, service: &Service) -> Result<(), DbError> {
    db.run("BEGIN IMMEDIATE", vec![]).await?;
    let applied = apply_missing(db, service).await;
    let end = if applied.is_ok() {
        "COMMIT"
    } else {
        "ROLLBACK"
    };
    db.run(end, vec![]).await?;
    applied
}

async fn apply_missing(db: &Db, service: &Service) -> Result<(), DbError> {
    let at = version(db).await?;
    let missing = std::iter::once(&COMMON)
        .chain(service.migrations)
        .filter(|m| m.version > at);
    for migration in missing {
        for statement in migration
            .sql
            .split(";\n")
            .map(|s| s.trim().trim_end_matches(';'))
            .filter(|s| !s.is_empty())
        {
            db.execute(statement, &[]).await?;
        }
        db.execute(
            "INSERT INTO migrations (version, applied_at) VALUES (?, ?)",
            &[&migration.version, &clock::now_ms()],
        )
        .await?;
    }
    Ok(())
}
