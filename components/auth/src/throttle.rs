//! Slows down whoever guesses: the longer somebody fails, the longer each next try must wait (429).
//!
//! Four things are counted, each as a bucket that leaks, under a hash of what it is about:
//!
//! - an account (the name that was typed, so that a name without an account counts the same)
//!   tried from one network: few failures are free, then each wait is twice the one before;
//! - a network, whatever it tries: many are free, the waits stay short;
//! - an account, whoever tries: never a reason to wait. Past a limit, networks from which it has not
//!   been logged in lately have fewer failures free;
//! - registrations from one network, also those that succeed: each makes an account.
//!
//! So nobody who fails elsewhere keeps an owner out: what makes her wait are failures on her
//! account from her own network, or very many from it. An attempt is counted before the password is
//! looked at, so that a hundred at once are not a hundred for the price of one; success takes it
//! back. An attempt that is let through and hashes a password then waits for its turn (`hashing`).

use crate::SERVICE;
use crate::hashing::Place;
use crate::signing::digest;
use http::StatusCode;
use wasmart_service::clock::now_ms;
use wasmart_service::db::{Db, DbError, Durability, Tx};
use wasmart_service::http::{Client, Problem};

/// What is tried; failures at one do not count for another, but all do for the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A login with a password, at whatever endpoint.
    Login,
    /// The current password, to set another.
    Password,
    /// A mail to reset the password.
    Forgot,
    /// A wrong token to reset the password.
    Reset,
    /// A new account.
    Register,
}

impl Scope {
    /// Whether a password is hashed for it.
    fn hashes(self) -> bool {
        matches!(self, Scope::Login | Scope::Password | Scope::Register)
    }
}

/// How failures of one kind are counted, in milliseconds.
struct Rule {
    /// How long a failure counts.
    cost: i64,
    /// So many go without a wait.
    free: i64,
    /// The longest wait; the first is [`FIRST_WAIT_MS`].
    longest: i64,
}

const FIRST_WAIT_MS: i64 = 1_000;
/// An account from one network.
const PAIR: Rule = Rule {
    cost: 15 * 60_000,
    free: 10,
    longest: 15 * 60_000,
};
/// The same, of an account under attack, from a network that is strange to it.
const STRANGE: Rule = Rule { free: 3, ..PAIR };
/// All from one network: a hundred at once, then one in ten seconds.
const NETWORK: Rule = Rule {
    cost: 10_000,
    free: 100,
    longest: 30_000,
};
/// Registrations from one network, the successful ones too: a hundred at once, then one in ten seconds.
const REGISTRATIONS: Rule = NETWORK;
/// An account is under attack at this level: fifty failures at once, or more than one a minute.
const ATTACK_MS: i64 = 50 * FAILURE_MS;
const FAILURE_MS: i64 = 60_000;
/// How long a network stays known to an account.
const KNOWN_MS: i64 = 90 * 24 * 60 * 60_000;
/// After this time without a failure a bucket is empty, whatever was in it.
const FORGOTTEN_MS: i64 = 24 * 60 * 60_000;
const SWEPT: i64 = 500;
/// Networks that stay known to one account: the latest.
const KNOWN_EACH: i64 = 100;

/// An attempt that was let through and counted as a failure until it succeeds.
pub struct Attempt {
    scope: Scope,
    pair: String,
    network: String,
    account: String,
    /// Where a password is hashed.
    place: Option<Place>,
}

impl Attempt {
    /// Lets an attempt through, or refuses it with 429, also for a name that no account has.
    /// `owner` is the account behind `subject`, where there is one.
    pub async fn begin(
        scope: Scope,
        subject: &str,
        owner: Option<&str>,
        client: Client,
    ) -> Result<Attempt, Problem> {
        let network = client.network();
        let mut attempt = Attempt {
            scope,
            pair: pair_key(scope, subject, &network),
            network: digest(&format!("network {network}")),
            account: digest(&format!("account {scope:?} {subject}")),
            place: None,
        };
        // What may be forgotten in a loss of power need not wait for the disk.
        let db = Db::open_with(&SERVICE, Durability::Relaxed).await?;
        attempt.refuse_early(&db).await?;
        let tx = db.begin().await?;
        if !attempt.is_counted(&tx, owner, &network).await? {
            tx.rollback().await?;
            let db = Db::open(&SERVICE).await?;
            attempt.refuse_early(&db).await?;
            return Err(refused(FIRST_WAIT_MS));
        }
        if scope.hashes() {
            match Place::join(&tx, &attempt.network).await {
                Ok(place) => attempt.place = Some(place),
                Err(problem) => {
                    tx.rollback().await?;
                    return Err(problem);
                }
            }
        }
        tx.commit().await?;
        let Some(place) = &mut attempt.place else {
            return Ok(attempt);
        };
        if let Err(problem) = place.wait().await {
            attempt.withdraw().await?;
            return Err(problem);
        }
        Ok(attempt)
    }

    /// Counts it as a failure; false if the client must wait.
    async fn is_counted(
        &self,
        tx: &Tx,
        owner: Option<&str>,
        network: &str,
    ) -> Result<bool, DbError> {
        let rule = if self.scope == Scope::Register {
            &REGISTRATIONS
        } else if self.is_under_attack(tx).await? && !is_known(tx, owner, network).await? {
            &STRANGE
        } else {
            &PAIR
        };
        Ok(enter(tx, &self.pair, rule).await? && enter(tx, &self.network, &NETWORK).await?)
    }

    /// What an attack that is under way gets: one look, no lock.
    async fn refuse_early(&self, db: &Db) -> Result<(), Problem> {
        let now = now_ms();
        let row = db
            .first(
                "SELECT coalesce(max(until), 0) FROM attempts
                 WHERE (key = ?1 AND until <= ?3 + ?4) OR (key = ?2 AND until <= ?3 + ?5)",
                &[
                    &self.pair,
                    &self.network,
                    &now,
                    &PAIR.longest,
                    &NETWORK.longest,
                ],
            )
            .await?;
        let until = row.map_or(Ok(0), |row| row.int(0))?;
        if until > now {
            return Err(refused(until - now));
        }
        Ok(())
    }

    async fn is_under_attack(&self, tx: &Tx) -> Result<bool, DbError> {
        let row = tx
            .first(
                "SELECT 1 FROM attempts WHERE key = ?1 AND level - max(0, ?2 - at) >= ?3",
                &[&self.account, &now_ms(), &ATTACK_MS],
            )
            .await?;
        Ok(row.is_some())
    }

    /// It was a failure: counted already, but not yet for the account.
    pub async fn failed(&self, tx: &Tx) -> Result<(), DbError> {
        self.leave(tx).await?;
        if self.scope == Scope::Register {
            return Ok(());
        }
        let any_number = Rule {
            cost: FAILURE_MS,
            free: i64::MAX,
            longest: 0,
        };
        enter(tx, &self.account, &any_number).await.map(drop)
    }

    /// The attempt succeeded: the account's failures from this network are forgotten, and the
    /// network's count is as before. A registration still counts.
    pub async fn succeeded(&self, tx: &Tx) -> Result<(), DbError> {
        self.leave(tx).await?;
        if self.scope != Scope::Register {
            forget(tx, &self.pair).await?;
        }
        take_back(tx, &self.network, NETWORK.cost).await
    }

    /// The attempt was abandoned through no fault of the client.
    pub async fn withdraw(&self) -> Result<(), DbError> {
        let db = Db::open_with(&SERVICE, Durability::Relaxed).await?;
        let tx = db.begin().await?;
        self.leave(&tx).await?;
        let cost = if self.scope == Scope::Register {
            REGISTRATIONS.cost
        } else {
            PAIR.cost
        };
        take_back(&tx, &self.pair, cost).await?;
        take_back(&tx, &self.network, NETWORK.cost).await?;
        tx.commit().await
    }

    async fn leave(&self, tx: &Tx) -> Result<(), DbError> {
        match &self.place {
            Some(place) => place.leave(tx).await,
            None => Ok(()),
        }
    }
}

/// An owner who has shown that she is one, otherwise than by a password: her failures from here are forgotten.
pub async fn excuse(tx: &Tx, logins: &[&str], client: Client) -> Result<(), DbError> {
    let network = client.network();
    for login in logins {
        forget(tx, &pair_key(Scope::Login, login, &network)).await?;
    }
    Ok(())
}

/// An account was logged in to from here.
pub async fn know(tx: &Tx, account: &str, client: Client) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO known_networks (account_id, network, at) VALUES (?, ?, ?)
         ON CONFLICT (account_id, network) DO UPDATE SET at = excluded.at",
        &[&account, &digest(&client.network()), &now_ms()],
    )
    .await?;
    tx.execute(
        "DELETE FROM known_networks WHERE account_id = ?1 AND network IN
             (SELECT network FROM known_networks WHERE account_id = ?1
              ORDER BY at DESC LIMIT -1 OFFSET ?2)",
        &[&account, &KNOWN_EACH],
    )
    .await
}

/// Forgets from where an account has logged in: it is deleted.
pub async fn forget_networks(tx: &Tx, account: &str) -> Result<(), DbError> {
    tx.execute(
        "DELETE FROM known_networks WHERE account_id = ?",
        &[&account],
    )
    .await
}

/// Forgets what is long past, a bounded number at once.
pub async fn sweep(db: &Db) -> Result<(), DbError> {
    let now = now_ms();
    for (table, before) in [
        ("attempts", now - FORGOTTEN_MS),
        ("known_networks", now - KNOWN_MS),
    ] {
        let sql = format!(
            "DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} WHERE at < ? LIMIT ?)"
        );
        db.execute(&sql, &[&before, &SWEPT]).await?;
    }
    Ok(())
}

/// One statement: counts a failure, unless one must wait. An end of the wait that lies further ahead
/// than any wait was set before a clock was set back.
async fn enter(tx: &Tx, key: &str, rule: &Rule) -> Result<bool, DbError> {
    let row = tx
        .first(
            "INSERT INTO attempts (key, level, until, at) VALUES (?1, ?2, 0, ?3)
             ON CONFLICT (key) DO UPDATE SET
                 level = max(0, level - max(0, ?3 - at)) + ?2,
                 until = CASE WHEN (max(0, level - max(0, ?3 - at)) + ?2 - 1) / ?2 + 1 < ?4 THEN 0
                     ELSE ?3 + min(?5, ?6 << min(20,
                         (max(0, level - max(0, ?3 - at)) + ?2 - 1) / ?2 + 1 - ?4)) END,
                 at = ?3
             WHERE until <= ?3 OR until > ?3 + ?5
             RETURNING 1",
            &[
                &key,
                &rule.cost,
                &now_ms(),
                &rule.free,
                &rule.longest,
                &FIRST_WAIT_MS,
            ],
        )
        .await?;
    Ok(row.is_some())
}

/// Takes one failure back.
async fn take_back(tx: &Tx, key: &str, cost: i64) -> Result<(), DbError> {
    tx.execute(
        "UPDATE attempts SET level = max(0, level - ?), until = 0 WHERE key = ?",
        &[&cost, &key],
    )
    .await
}

async fn is_known(db: &Db, owner: Option<&str>, network: &str) -> Result<bool, DbError> {
    let row = db
        .first(
            "SELECT 1 FROM known_networks WHERE account_id = ? AND network = ?",
            &[&owner.unwrap_or_default(), &digest(network)],
        )
        .await?;
    Ok(row.is_some())
}

async fn forget(tx: &Tx, key: &str) -> Result<(), DbError> {
    tx.execute("DELETE FROM attempts WHERE key = ?", &[&key])
        .await
}

fn pair_key(scope: Scope, subject: &str, network: &str) -> String {
    digest(&format!("pair {scope:?} {network} {subject}"))
}

fn refused(wait_ms: i64) -> Problem {
    let seconds = u64::try_from(wait_ms.max(1)).unwrap_or(1).div_ceil(1000);
    Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too-many-attempts",
        "Too many attempts; wait before the next one",
    )
    .retry_after(seconds)
}
