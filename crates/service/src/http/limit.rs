//! So many requests a minute for each address and route (429 beyond), right across instances and hosts.
//!
//! The generic cell rate algorithm: each request moves the moment at which its bucket is empty again, one
//! number for each key, by one statement in a database that all services share. A bucket that would last
//! longer than the window takes no more. So nobody gets twice the limit around the turn of a minute, and
//! who has used it up gets it back bit by bit.
//!
//! A key is a line of the route table and a client's network, so a client can choose neither the
//! size nor the number of keys. Requests whose path or method matches no route share one bucket per
//! network. `HEAD` counts as `GET`.

use super::routes::{Found, Table};
use super::settings::Settings;
use super::{Client, Problem};
use crate::clock::now_ms;
use crate::db::{DbError, Scratch};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use std::sync::Arc;

/// The label of the database, in `spin.toml`.
static COUNTERS: Scratch = Scratch::new(
    "limits",
    &[
        "CREATE TABLE IF NOT EXISTS buckets (
             key      TEXT PRIMARY KEY,
             empty_at INTEGER NOT NULL,
             granted  INTEGER NOT NULL
         ) WITHOUT ROWID",
        // For the sweep, which comes often.
        "CREATE INDEX IF NOT EXISTS buckets_by_end ON buckets (empty_at)",
    ],
);

const WINDOW_US: i64 = 60_000_000;
/// Requests that match no route count together.
const NO_ROUTE: &str = "*";
/// One request in this many deletes empty buckets. The clock decides which one: counters in
/// instances would all reach the number at the same time, and an instance may live for a single
/// request.
const SWEEP_EVERY: i64 = 16;
/// How many are deleted at once: more than can have been made since the last time.
const SWEPT: i64 = 64;

/// What is left after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Level {
    granted: bool,
    /// Microseconds until the bucket is empty.
    full_us: i64,
}

/// Lets a request through, or not.
pub(super) async fn limit(
    State(table): State<Arc<Table>>,
    request: Request,
    next: Next,
) -> Response {
    let counted_as = match table.find(&request) {
        Found::Route(route) => route.counted_as(),
        Found::OtherMethods | Found::Nothing => Some(NO_ROUTE.to_owned()),
    };
    match counted_as {
        Some(counted_as) => limited(&counted_as, request, next).await,
        None => next.run(request).await,
    }
}

/// As [`limit`], for `OPTIONS` alone, which CORS answers before anything else. Browsers send it
/// before each request that is not simple, so it counts by its path.
pub(super) async fn limit_options(
    State(table): State<Arc<Table>>,
    request: Request,
    next: Next,
) -> Response {
    if request.method() != Method::OPTIONS {
        return next.run(request).await;
    }
    let path = request.extensions().get::<MatchedPath>();
    let counted_as = match (table.find(&request), path) {
        (Found::OtherMethods, Some(path)) => format!("OPTIONS {}", path.as_str()),
        _ => NO_ROUTE.to_owned(),
    };
    limited(&counted_as, request, next).await
}

/// The fields are those of draft-ietf-httpapi-ratelimit-headers-10.
async fn limited(counted_as: &str, request: Request, next: Next) -> Response {
    let Some(quota) = Settings::get().await.requests_per_minute else {
        return next.run(request).await;
    };
    let client = Client::of(request.headers()).await;
    let key = format!("{counted_as} {}", client.network());
    let level = match take(&key, quota).await {
        Ok(level) => level,
        Err(error) => {
            // Better without a limit than without a shop.
            log!("requests are not counted: {error}");
            return next.run(request).await;
        }
    };
    let mut response = if level.granted {
        next.run(request).await
    } else {
        refusal(level.wait_us(quota)).into_response()
    };
    for (name, value) in level.fields(quota) {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn refusal(wait_us: i64) -> Problem {
    Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too-many-requests",
        "Too many requests from this address; come again later",
    )
    .retry_after(seconds(wait_us))
}

/// Rounded up: earlier would be in vain.
fn seconds(us: i64) -> u64 {
    u64::try_from(us).unwrap_or_default().div_ceil(1_000_000)
}

/// What one request takes of the window.
fn cost_us(quota: u32) -> i64 {
    WINDOW_US / i64::from(quota.max(1))
}

impl Level {
    /// Until there is room for one request.
    fn wait_us(self, quota: u32) -> i64 {
        self.full_us + cost_us(quota) - WINDOW_US
    }

    fn fields(self, quota: u32) -> [(HeaderName, String); 2] {
        let left = (WINDOW_US - self.full_us).max(0) / cost_us(quota);
        [
            (
                HeaderName::from_static("ratelimit-policy"),
                format!("\"default\";q={quota};w={}", seconds(WINDOW_US)),
            ),
            (
                HeaderName::from_static("ratelimit"),
                format!("\"default\";r={left};t={}", seconds(self.full_us)),
            ),
        ]
    }
}

/// A bucket that is further ahead than the window was filled by a clock that has been set back since: it
/// counts as full.
const TAKE: &str = "
    INSERT INTO buckets (key, empty_at, granted) VALUES (?1, ?2 + ?3, 1)
    ON CONFLICT (key) DO UPDATE SET
        granted = max(empty_at, ?2) + ?3 <= ?2 + ?4,
        empty_at = CASE WHEN max(empty_at, ?2) + ?3 <= ?2 + ?4 THEN max(empty_at, ?2) + ?3
                        ELSE min(empty_at, ?2 + ?4) END
    RETURNING granted, empty_at - ?2";

async fn take(key: &str, quota: u32) -> Result<Level, DbError> {
    let now_ms = now_ms();
    sweep(now_ms).await?;
    let rows = COUNTERS
        .query(
            TAKE,
            &[&key, &(now_ms * 1_000), &cost_us(quota), &WINDOW_US],
        )
        .await?;
    let row = rows
        .first()
        .ok_or_else(|| DbError::Failed("nothing counted".into()))?;
    Ok(Level {
        granted: row.flag(0)?,
        full_us: row.int(1)?,
    })
}

const SWEEP: &str = "DELETE FROM buckets WHERE key IN
    (SELECT key FROM buckets WHERE empty_at < ?1 ORDER BY empty_at LIMIT ?2)";

/// Deletes some empty buckets. Buckets that were used within the window stay.
async fn sweep(now_ms: i64) -> Result<(), DbError> {
    if now_ms % SWEEP_EVERY != 0 {
        return Ok(());
    }
    COUNTERS
        .query(SWEEP, &[&(now_ms * 1_000), &SWEPT])
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    fn bucket() -> Connection {
        let connection = Connection::open_in_memory().expect("SQLite");
        let schema =
            "CREATE TABLE buckets (key TEXT PRIMARY KEY, empty_at INTEGER, granted INTEGER)";
        connection.execute_batch(schema).expect("the table");
        connection
    }

    fn take(connection: &Connection, quota: u32, now_us: i64) -> Level {
        let values = ("k", now_us, cost_us(quota), WINDOW_US);
        let level = connection.query_row(TAKE, values, |row| {
            let (granted, full_us) = (row.get(0)?, row.get(1)?);
            Ok(Level { granted, full_us })
        });
        level.expect("a row")
    }

    #[test]
    fn exactly_the_quota_is_granted_at_once() {
        for quota in [1, 7, 10, 600] {
            let connection = bucket();
            let granted = (0..2 * quota).filter(|_| take(&connection, quota, 5).granted);
            assert_eq!(granted.count(), quota as usize, "{quota}");
        }
    }

    #[test]
    fn what_was_used_comes_back_bit_by_bit() {
        let connection = bucket();
        for _ in 0..10 {
            assert!(take(&connection, 10, 0).granted);
        }
        let refused = take(&connection, 10, 0);
        assert!(!refused.granted);
        assert_eq!(seconds(refused.wait_us(10)), 6);
        assert!(!take(&connection, 10, 5_999_999).granted);
        assert!(take(&connection, 10, 6_000_000).granted);
        assert!(!take(&connection, 10, 6_000_001).granted);
        // A whole window later all of it is there again, and no more.
        let later = 200_000_000;
        let granted = (0..20).filter(|_| take(&connection, 10, later).granted);
        assert_eq!(granted.count(), 10);
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nobody_out_for_longer_than_the_window() {
        let connection = bucket();
        assert!(take(&connection, 10, 86_400_000_000).granted);
        assert!(!take(&connection, 10, 0).granted);
        assert!(take(&connection, 10, cost_us(10)).granted);
    }

    #[test]
    fn the_fields_say_what_is_left() {
        let level = take(&bucket(), 600, 0);
        let fields = level.fields(600).map(|(_, value)| value);
        assert_eq!(
            fields,
            [r#""default";q=600;w=60"#, r#""default";r=599;t=1"#]
        );
    }
}
