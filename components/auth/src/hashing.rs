//! The queue for password hashing. A hash keeps a core busy for some 40 ms and takes 19 MiB, so
//! only a few run at once, and a client that sends many requests must not hold up the others.
//!
//! Each request that will hash has a row in the table `hashing`, because instances and hosts share no memory.
//! A row waits until it is its turn. Networks take turns: each has two hashes running at most, and a network
//! that waits for its first one comes before a network that has one. When too many wait, the request is
//! refused: 429 if they are from its own network, 503 if they are from everywhere.

use crate::SERVICE;
use http::StatusCode;
use spin_sdk::wasip3::clocks::monotonic_clock::wait_for;
use std::time::{Duration, Instant};
use wasmart_service::clock::now_ms;
use wasmart_service::db::{Db, DbError, Durability, Tx};
use wasmart_service::http::Problem;
use wasmart_service::new_id;

/// Hashes that run at once, in all instances and hosts that share the database.
const RUNNING: i64 = 8;
/// Of these, hashes for one network.
const RUNNING_EACH: i64 = 2;
/// Requests that wait or run. The last one still gets its answer before the host's timeout.
const QUEUE: i64 = 400;
/// Of these, requests from one network.
const QUEUE_EACH: i64 = 128;

/// After this time a running hash no longer counts: its instance has died.
const RUN_MS: i64 = 5_000;
/// The same for a waiting request, which renews its row more often than this.
const WAIT_MS: i64 = 3_000;
/// An entry that ends later than this was made before a clock was set back. (Hosts' clocks may
/// differ a little.)
const FURTHEST_MS: i64 = 60_000;
/// How often a waiting request renews its row.
const RENEWAL: Duration = Duration::from_secs(1);
/// A request waits no longer than this.
const PATIENCE: Duration = Duration::from_secs(25);
/// The pause before the next look at the queue, for each request that is ahead.
const STEP: Duration = Duration::from_millis(20);
/// The longest pause. Well below [`WAIT_MS`].
const PAUSE: Duration = Duration::from_secs(1);

/// A request's position: how many hashes run, its place within its network, how many wait before
/// it. Within a network, running requests come first.
const STANDING: &str = "
    WITH live AS (SELECT id, network, running FROM hashing WHERE until > ?2 AND until <= ?2 + ?3),
    queue AS (SELECT id, running,
        row_number() OVER (PARTITION BY network ORDER BY running DESC, id) AS turn FROM live)
    SELECT (SELECT count(*) FROM live WHERE running = 1), me.turn,
        (SELECT count(*) FROM queue AS other
         WHERE other.running = 0 AND (other.turn, other.id) < (me.turn, me.id))
    FROM queue AS me WHERE me.id = ?1";

/// A place in the queue, and then the right to hash.
pub struct Place {
    id: String,
    network: String,
    may_run: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    running: i64,
    turn: i64,
    ahead: i64,
}

impl Standing {
    fn may_run(self) -> bool {
        self.turn <= RUNNING_EACH && self.ahead < RUNNING - self.running
    }

    /// Waits until another look is worth its cost.
    fn pause(self) -> Duration {
        let before = self.ahead.max(self.turn - RUNNING_EACH).max(1);
        (STEP * u32::try_from(before).unwrap_or(u32::MAX)).min(PAUSE)
    }
}

impl Place {
    /// Takes a place for a request that has none yet. `network` is the client's network.
    pub async fn take(network: &str) -> Result<Place, Problem> {
        let tx = open().await?.begin().await?;
        let mut place = match Place::join(&tx, network).await {
            Ok(place) => place,
            Err(problem) => {
                tx.rollback().await?;
                return Err(problem);
            }
        };
        tx.commit().await?;
        place.wait().await?;
        Ok(place)
    }

    /// Joins the queue. The transaction must be committed before [`Place::wait`].
    pub async fn join(tx: &Tx, network: &str) -> Result<Place, Problem> {
        let now = now_ms();
        tx.execute(
            "DELETE FROM hashing WHERE until <= ?1 OR until > ?1 + ?2",
            &[&now, &FURTHEST_MS],
        )
        .await?;
        let row = tx
            .first(
                "SELECT count(*), count(*) FILTER (WHERE network = ?) FROM hashing",
                &[&network],
            )
            .await?;
        let (all, own) = row.map_or(Ok((0, 0)), |row| {
            Ok::<_, DbError>((row.int(0)?, row.int(1)?))
        })?;
        if own >= QUEUE_EACH {
            return Err(too_many_from_here());
        }
        if all >= QUEUE {
            return Err(too_many());
        }
        let mut place = Place {
            id: new_id(),
            network: network.to_owned(),
            may_run: false,
        };
        place.enter(tx).await?;
        Ok(place)
    }

    /// Waits until it is this request's turn.
    pub async fn wait(&mut self) -> Result<(), Problem> {
        let begun = Instant::now();
        let mut renewed = begun;
        while !self.may_run {
            if begun.elapsed() > PATIENCE {
                self.leave(&open().await?).await?;
                return Err(too_many());
            }
            // A look takes no lock.
            let standing = self.standing(&open().await?).await?;
            let pause = standing.map_or(STEP, Standing::pause);
            let is_near = standing.is_none_or(Standing::may_run);
            if is_near || renewed.elapsed() > RENEWAL {
                let tx = open().await?.begin().await?;
                self.enter(&tx).await?;
                tx.commit().await?;
                renewed = Instant::now();
            }
            if !self.may_run {
                wait_for(u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX)).await;
            }
        }
        Ok(())
    }

    /// Gives the place back: the hash is done, or was given up.
    pub async fn leave(&self, db: &Db) -> Result<(), DbError> {
        db.execute("DELETE FROM hashing WHERE id = ?", &[&self.id])
            .await
    }

    /// As [`Place::leave`], where nothing else is to be written.
    pub async fn leave_now(&self) -> Result<(), DbError> {
        self.leave(&open().await?).await
    }

    /// Makes or renews this request's row, and lets it run if it is its turn.
    async fn enter(&mut self, tx: &Tx) -> Result<(), DbError> {
        let now = now_ms();
        tx.execute(
            "INSERT INTO hashing (id, network, running, until) VALUES (?1, ?2, 0, ?3)
             ON CONFLICT (id) DO UPDATE SET until = excluded.until",
            &[&self.id, &self.network, &(now + WAIT_MS)],
        )
        .await?;
        if self.standing(tx).await?.is_some_and(Standing::may_run) {
            tx.execute(
                "UPDATE hashing SET running = 1, until = ? WHERE id = ?",
                &[&(now + RUN_MS), &self.id],
            )
            .await?;
            self.may_run = true;
        }
        Ok(())
    }

    async fn standing(&self, db: &Db) -> Result<Option<Standing>, DbError> {
        let row = db
            .first(STANDING, &[&self.id, &now_ms(), &FURTHEST_MS])
            .await?;
        row.map(|row| {
            Ok(Standing {
                running: row.int(0)?,
                turn: row.int(1)?,
                ahead: row.int(2)?,
            })
        })
        .transpose()
    }
}

/// A power cut ends the waiting requests anyway, so this need not wait for the disk.
async fn open() -> Result<Db, DbError> {
    Db::open_with(&SERVICE, Durability::Relaxed).await
}

fn too_many_from_here() -> Problem {
    Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too-many-attempts",
        "Too many attempts from this address are under way; wait before the next one",
    )
    .retry_after(5)
}

fn too_many() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "unavailable",
        "Too many attempts are under way; try again in a moment",
    )
    .retry_after(10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::{Connection, params};

    /// The table with these requests in it: network, and whether it runs.
    fn queue(requests: &[(&str, bool)]) -> Connection {
        let connection = Connection::open_in_memory().expect("SQLite");
        let schema = include_str!("../migrations/0011_hashing.sql");
        connection.execute_batch(schema).expect("the table");
        for (number, (network, runs)) in requests.iter().enumerate() {
            let row = params![format!("{number:03}"), network, runs, 1_001];
            let sql = "INSERT INTO hashing (id, network, running, until) VALUES (?, ?, ?, ?)";
            connection.execute(sql, row).expect("a row");
        }
        connection
    }

    fn standing(queue: &Connection, number: usize, now: i64) -> Option<Standing> {
        let me = params![format!("{number:03}"), now, FURTHEST_MS];
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Standing {
                running: row.get(0)?,
                turn: row.get(1)?,
                ahead: row.get(2)?,
            })
        };
        queue.query_row(STANDING, me, read).ok()
    }

    fn may_run(queue: &Connection, number: usize) -> bool {
        standing(queue, number, 1_000).is_some_and(Standing::may_run)
    }

    #[test]
    fn one_network_has_two_hashes_running_at_most() {
        let flood = queue(&[("a", true), ("a", false), ("a", false)]);
        assert!(may_run(&flood, 1));
        assert!(!may_run(&flood, 2));
        let flood = queue(&[("a", true), ("a", true), ("a", false), ("b", false)]);
        assert!(!may_run(&flood, 2));
        assert!(may_run(&flood, 3), "another network does not wait for it");
    }

    #[test]
    fn a_free_place_goes_to_the_network_that_waits_for_its_first() {
        // Seven run, so one place is free. The flood came first.
        let mut requests = vec![("a", true), ("a", false), ("b", true), ("b", true)];
        requests.extend([
            ("c", true),
            ("c", true),
            ("d", true),
            ("d", true),
            ("e", false),
        ]);
        let crowd = queue(&requests);
        assert!(may_run(&crowd, 8));
        assert!(!may_run(&crowd, 1));
        // Among equals, the first to come runs first.
        requests.push(("f", false));
        let crowd = queue(&requests);
        assert!(may_run(&crowd, 8) && !may_run(&crowd, 9));
    }

    #[test]
    fn those_of_a_dead_instance_are_passed_over() {
        let dead = queue(&[("a", true), ("a", true), ("a", false)]);
        assert_eq!(standing(&dead, 2, 1_001), None, "past its end");
        let set = "UPDATE hashing SET until = 2000 WHERE id = '002'";
        dead.execute(set, []).expect("renewed");
        assert!(standing(&dead, 2, 1_500).is_some_and(Standing::may_run));
        // Made before a clock was set back.
        let set = "UPDATE hashing SET until = 900000 WHERE running = 1";
        dead.execute(set, []).expect("set");
        assert!(standing(&dead, 2, 1_500).is_some_and(Standing::may_run));
    }

    #[test]
    fn who_is_far_behind_looks_less_often() {
        let standing = |turn, ahead| Standing {
            running: 8,
            turn,
            ahead,
        };
        assert_eq!(standing(1, 0).pause(), STEP);
        assert_eq!(standing(1, 5).pause(), STEP * 5);
        assert_eq!(standing(100, 3).pause(), PAUSE);
    }
}
