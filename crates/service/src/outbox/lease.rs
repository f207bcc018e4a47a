//! The drain lease: one row that says who sends for the service, and what of the rate is used up.
//!
//! A holder may be paused past its lease and passed over. So each taking raises the fencing number, and
//! whatever a holder writes is conditional on its own number being the last one.

use super::pace::{Repeats, SKEW_MS, astray_from};
use crate::clock;
use crate::db::{Db, DbError, Row};
use statements::{HOLDS, LOOK, RELEASE, TAKE};

/// How long a holder may take for one pass before another takes over. A pass is a handful of statements
/// and messages; after the death of a holder, the service sends nothing for so long.
const LEASE_MS: i64 = 5_000;
/// How long nobody tries after Redis did not take a message: so that an outage costs one failing try a
/// second, not one a request.
const PAUSE_MS: i64 = 1_000;

/// Apart, so that they can be tested natively.
pub(super) mod statements {
    /// Everything a drain must know before it begins, in one look.
    pub const LOOK: &str = "SELECT until, repeats_since, repeats,
             EXISTS (SELECT 1 FROM outbox WHERE attempts = 0),
             EXISTS (SELECT 1 FROM outbox WHERE attempts > 0 AND next_attempt_at <= ?1),
             EXISTS (SELECT 1 FROM outbox WHERE attempts > 0 AND next_attempt_at > ?2)
         FROM drain_lease WHERE id = 1";

    /// A lease that ends further ahead than any can was taken before a clock was set back.
    pub const TAKE: &str = "UPDATE drain_lease SET fence = fence + 1, until = ?1
         WHERE id = 1 AND (until <= ?2 OR until > ?3) RETURNING fence, repeats_since, repeats";

    pub const HOLDS: &str = "SELECT 1 FROM drain_lease WHERE id = 1 AND fence = ?1";

    pub const RELEASE: &str = "UPDATE drain_lease SET until = ?2, repeats_since = ?3, repeats = ?4
         WHERE id = 1 AND fence = ?1";
}

/// What there is to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Work {
    /// Rows are due once more.
    pub again: bool,
    /// Rows wait for a time that no wait reaches: a clock was set back.
    pub astray: bool,
}

/// Looks whether there is anything that this one could send. None, too, while another holds the lease: that
/// one looks again after it lets go, and so sees rows committed before this look.
pub(super) async fn look(db: &Db) -> Result<Option<Work>, DbError> {
    let now = clock::now_ms();
    let row = db.first(LOOK, &[&now, &astray_from(now)]).await?;
    row.map_or(Ok(None), |row| work(&row, now))
}

fn work(row: &Row, now: i64) -> Result<Option<Work>, DbError> {
    let until = row.int(0)?;
    let (first, again, astray) = (row.flag(3)?, row.flag(4)?, row.flag(5)?);
    let held = now < until && until <= latest_end(now);
    let may_repeat = repeats(row, 1)?.left(now) > 0;
    let any = first || astray || (again && may_repeat);
    Ok((any && !held).then_some(Work { again, astray }))
}

fn repeats(row: &Row, from: usize) -> Result<Repeats, DbError> {
    Ok(Repeats {
        since: row.int(from)?,
        sent: row.int(from + 1)?,
    })
}

fn latest_end(now: i64) -> i64 {
    now + LEASE_MS + SKEW_MS
}

/// The right to send, until it is released or ends.
pub(super) struct Lease {
    fence: i64,
    /// Sent again in the present second.
    pub repeats: Repeats,
}

impl Lease {
    /// None while another holds it.
    pub async fn take(db: &Db) -> Result<Option<Lease>, DbError> {
        let now = clock::now_ms();
        let row = db
            .first(TAKE, &[&(now + LEASE_MS), &now, &latest_end(now)])
            .await?;
        row.map(|row| {
            Ok(Lease {
                fence: row.int(0)?,
                repeats: repeats(&row, 1)?,
            })
        })
        .transpose()
    }

    /// The fencing number.
    pub fn fence(&self) -> i64 {
        self.fence
    }

    /// Whether nobody has taken over. Asked of the database: a clock can't tell, as another's may differ.
    pub async fn holds(&self, db: &Db) -> Result<bool, DbError> {
        Ok(db.first(HOLDS, &[&self.fence]).await?.is_some())
    }

    /// Lets go. After a failure nobody may take it for a moment.
    pub async fn release(self, db: &Db, failed: bool) -> Result<(), DbError> {
        let until = if failed {
            clock::now_ms() + PAUSE_MS
        } else {
            0
        };
        db.execute(
            RELEASE,
            &[&self.fence, &until, &self.repeats.since, &self.repeats.sent],
        )
        .await
    }
}
