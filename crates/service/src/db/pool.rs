//! Idle handles, kept for a moment: opening one costs more than a query (Spin opens the file anew),
//! and an instance serves many requests.

use super::{Db, DbError, Durability};
use crate::{Service, config};
use spin_sdk::sqlite::wit::sqlite::Connection;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// Handles kept idle: as many as an instance serves requests at once.
const MAX_IDLE: usize = 16;
/// libSQL drops a handle that idles for 10 s; ours go well before that.
const MAX_AGE: Duration = Duration::from_secs(4);

struct Idle {
    connection: Connection,
    durability: Durability,
    since: Instant,
}

static IDLE: Mutex<Vec<Idle>> = Mutex::new(Vec::new());
static SYNCHRONOUS: OnceLock<&'static str> = OnceLock::new();

pub(super) async fn take(service: &Service, durability: Durability) -> Result<Db, DbError> {
    if let Some(idle) = take_idle(durability) {
        return Ok(db(idle.connection, durability));
    }
    let connection = Connection::open_async(service.name.to_owned()).await?;
    let db = db(connection, durability);
    let synchronous = match durability {
        Durability::Configured => configured().await,
        Durability::Relaxed => "NORMAL",
    };
    // A wish: libSQL refuses PRAGMAs and keeps its own rules.
    for pragma in [
        "PRAGMA busy_timeout = 5000",
        &format!("PRAGMA synchronous = {synchronous}"),
        "PRAGMA foreign_keys = ON",
        // What is deleted is overwritten: a deleted account must not be readable in the file.
        "PRAGMA secure_delete = ON",
    ] {
        db.run(pragma, vec![]).await.ok();
    }
    Ok(db)
}

fn take_idle(durability: Durability) -> Option<Idle> {
    let mut idle = IDLE.lock().ok()?;
    let now = Instant::now();
    idle.retain(|handle| now.duration_since(handle.since) < MAX_AGE);
    let at = idle
        .iter()
        .rposition(|handle| handle.durability == durability)?;
    Some(idle.swap_remove(at))
}

pub(super) fn give_back(connection: Connection, durability: Durability) {
    if let Ok(mut idle) = IDLE.lock()
        && idle.len() < MAX_IDLE
    {
        idle.push(Idle {
            connection,
            durability,
            since: Instant::now(),
        });
    }
}

fn db(connection: Connection, durability: Durability) -> Db {
    Db {
        connection: Some(connection),
        durability,
        spoiled: false.into(),
        holds_lock: false.into(),
    }
}

async fn configured() -> &'static str {
    if let Some(synchronous) = SYNCHRONOUS.get() {
        return synchronous;
    }
    let wanted = config::optional("synchronous").await.unwrap_or_default();
    let synchronous = if wanted.eq_ignore_ascii_case("normal") {
        "NORMAL"
    } else {
        "FULL"
    };
    SYNCHRONOUS.get_or_init(|| synchronous)
}
