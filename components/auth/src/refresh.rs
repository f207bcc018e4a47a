//! `POST /auth/refresh`: a new pair of tokens for a refresh token, which is thereby used up.
//!
//! A used token may come again because a client sent it twice at once, because an answer was lost,
//! or because it was stolen. [`Turn::of`] decides which of these it is.

use crate::audit::{Entry, Kind};
use crate::credentials::RefreshToken;
use crate::refresh_tokens::{self, Refresh};
use crate::session::Session;
use crate::signing::digest;
use crate::{SERVICE, revocation, store};
use axum::response::Response;
use http::StatusCode;
use serde_json::json;
use wasmart_service::clock;
use wasmart_service::db::{Db, Tx};
use wasmart_service::http::{Client, Problem};

/// A request that comes this soon after the first use was probably sent before the first answer
/// arrived: requests wait for each other's signatures, and a component does not see when the host
/// received them.
const AT_ONCE_MS: i64 = 2_000;
/// A client whose answer was lost may ask again until this long after the first use.
const GRACE_MS: i64 = 10_000;
/// The clocks of two hosts may differ by this much.
const SKEW_MS: i64 = 5_000;

pub async fn refresh(
    client: Client,
    RefreshToken(token): RefreshToken,
) -> Result<Response, Problem> {
    let session = renew(&token.ok_or_else(refused)?, client).await?;
    session.answer(StatusCode::OK)
}

/// What a refresh token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// It is used for the first time.
    First,
    /// Its answer was lost: the successor was never used. This is granted once.
    Again,
    /// Somebody uses it at this moment: refused, and the login goes on.
    AtOnce,
    /// It was copied: refused, and the login ends, for thief and owner alike.
    Replay,
}

impl Turn {
    fn of(known: &Refresh, now: i64) -> Turn {
        let Some(used_at) = known.used_at else {
            // Two tokens were given for the same one, and somebody has used the other.
            return if known.rival_used {
                Turn::Replay
            } else {
                Turn::First
            };
        };
        let since_first = now - used_at;
        let since_last = now - known.repeated_at.unwrap_or(used_at);
        if known.successor_used {
            Turn::Replay
        } else if (-SKEW_MS..AT_ONCE_MS).contains(&since_last) {
            Turn::AtOnce
        } else if !(0..GRACE_MS).contains(&since_first) {
            Turn::Replay
        } else if known.repeated_at.is_some() {
            Turn::AtOnce
        } else {
            Turn::Again
        }
    }
}

/// The new pair; 401 where the token is not good for one.
pub async fn renew(token: &str, client: Client) -> Result<Session, Problem> {
    let hash = digest(token);
    let db = Db::open(&SERVICE).await?;
    let known = refresh_tokens::find(&db, &hash)
        .await?
        .ok_or_else(refused)?;
    // Checked before the costly signature, and once more under the lock.
    let turn = Turn::of(&known, clock::now_ms());
    if matches!(turn, Turn::AtOnce | Turn::Replay) {
        let tx = db.begin().await?;
        return Err(refuse(tx, &hash, client).await?);
    }
    let account = store::by_id(&db, &known.account_id)
        .await?
        .filter(|account| account.disabled_at.is_none())
        .ok_or_else(refused)?;
    let session = Session::new(account, known.family).await?;
    let tx = db.begin().await?;
    let known = refresh_tokens::find(&tx, &hash).await?;
    match known.map(|known| Turn::of(&known, clock::now_ms())) {
        Some(Turn::First) => refresh_tokens::use_up(&tx, &hash).await?,
        Some(Turn::Again) => refresh_tokens::repeat(&tx, &hash).await?,
        _ => return Err(refuse(tx, &hash, client).await?),
    }
    if !store::insert_session(&tx, &session, Some(&hash)).await? {
        return Err(Problem::unavailable(
            "an account changed during its refresh",
        ));
    }
    tx.commit().await?;
    Ok(session)
}

/// Refuses a used token, and ends its family if it was copied. Decided under the lock, because the
/// state may have changed.
async fn refuse(tx: Tx, hash: &str, client: Client) -> Result<Problem, Problem> {
    let Some(known) = refresh_tokens::find(&tx, hash).await? else {
        tx.rollback().await?;
        return Ok(refused());
    };
    let is_replay = Turn::of(&known, clock::now_ms()) == Turn::Replay;
    if is_replay {
        revocation::revoke_family(&tx, &known.family.id).await?;
    }
    let record = Entry::new(Kind::RefreshReplayed)
        .about(Some(&known.account_id))
        .with(json!({"login": if is_replay { "ended" } else { "goes on" }}));
    let record = record.from(client).write(&tx).await?;
    tx.commit().await?;
    record.log();
    if is_replay {
        revocation::apply(&Db::open(&SERVICE).await?).await?;
    }
    Ok(refused())
}

fn refused() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "invalid-refresh-token",
        "The refresh token is not valid; log in again",
    )
    .challenge("Bearer")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Family;

    const USED_AT: i64 = 1_000_000;

    fn used(repeated_at: Option<i64>) -> Refresh {
        Refresh {
            account_id: String::new(),
            family: Family {
                id: String::new(),
                ends_at: 0,
            },
            used_at: Some(USED_AT),
            repeated_at,
            successor_used: false,
            rival_used: false,
        }
    }

    #[test]
    fn a_used_token_is_taken_once_more_when_its_answer_was_lost() {
        let turn = |after| Turn::of(&used(None), USED_AT + after);
        for (after, expected) in [
            (-SKEW_MS - 1, Turn::Replay),
            (-SKEW_MS, Turn::AtOnce),
            (0, Turn::AtOnce),
            (AT_ONCE_MS - 1, Turn::AtOnce),
            (AT_ONCE_MS, Turn::Again),
            (GRACE_MS - 1, Turn::Again),
            (GRACE_MS, Turn::Replay),
            // A clock was set forward, or back.
            (86_400_000, Turn::Replay),
            (-86_400_000, Turn::Replay),
        ] {
            assert_eq!(turn(after), expected, "{after}");
        }
        let twice = |after| Turn::of(&used(Some(USED_AT + 9_000)), USED_AT + after);
        for (after, expected) in [
            (9_500, Turn::AtOnce),
            (GRACE_MS + 500, Turn::AtOnce),
            (9_000 + AT_ONCE_MS, Turn::Replay),
        ] {
            assert_eq!(twice(after), expected, "{after}");
        }
        let early = Turn::of(&used(Some(USED_AT + 3_000)), USED_AT + 6_000);
        assert_eq!(early, Turn::AtOnce, "granted once");
    }

    #[test]
    fn nothing_excuses_it_once_the_successor_was_used() {
        for after in [0, AT_ONCE_MS, GRACE_MS] {
            let known = Refresh {
                successor_used: true,
                ..used(None)
            };
            assert_eq!(Turn::of(&known, USED_AT + after), Turn::Replay);
        }
        let fresh = |rival_used| Refresh {
            used_at: None,
            rival_used,
            ..used(None)
        };
        assert_eq!(Turn::of(&fresh(false), 0), Turn::First);
        assert_eq!(Turn::of(&fresh(true), 0), Turn::Replay);
    }
}
