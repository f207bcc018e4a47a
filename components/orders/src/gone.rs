//! Accounts that are deleted. Their orders are canceled as far as they can be, and kept without what is
//! personal, as books are kept. When the last of them has ended, billing may close the wallet.

use crate::runner::{self, Refused};
use crate::{SERVICE, store};
use wasmart_contracts::messages::AccountSettled;
use wasmart_domain::saga::{Event, Reason};
use wasmart_service::actor::Actor;
use wasmart_service::clock::now_ms;
use wasmart_service::db::{Db, DbError, Tx};
use wasmart_service::guard;
use wasmart_service::http::Problem;
use wasmart_service::inbox::Refusal;
use wasmart_service::{dead_letters, idempotency, outbox};

/// Takes in that an account is deleted; safe to repeat.
pub async fn take_in(tx: &Tx, user: &str) -> Result<(), Refusal> {
    tx.execute(
        "INSERT INTO gone_accounts (user_id, created_at) VALUES (?, ?) ON CONFLICT DO NOTHING",
        &[&user, &now_ms()],
    )
    .await?;
    store::erase_personal(tx, user).await?;
    dead_letters::forget(tx, user).await?;
    // The answers under its keys repeat what its orders said.
    idempotency::forget(tx, user).await?;
    for id in store::cancelable(tx, user).await? {
        let Some(mut order) = store::find(tx, &id).await? else {
            continue;
        };
        let cancel = Event::Cancel(Reason::AccountDeleted);
        match runner::advance(tx, &mut order, cancel, &Actor::system()).await? {
            // Past the point of return: it ends as it would have.
            Ok(()) | Err(Refused::Illegal(_)) => {}
            Err(unknown) => return Err(DbError::Failed(unknown.to_string()).into()),
        }
    }
    Ok(settle(tx, user).await?)
}

/// Tells billing, once, if the account is gone and none of its orders is under way. Called whenever an order ends.
pub async fn settle(tx: &Tx, user: &str) -> Result<(), DbError> {
    let settled = tx
        .first(
            "UPDATE gone_accounts SET settled_at = ?2 WHERE user_id = ?1 AND settled_at IS NULL
                 AND NOT EXISTS (SELECT 1 FROM orders WHERE user_id = ?1
                     AND state NOT IN ('completed', 'canceled'))
             RETURNING 1",
            &[&user, &now_ms()],
        )
        .await?;
    if settled.is_none() {
        return Ok(());
    }
    let data = AccountSettled {
        user_id: user.to_owned(),
    };
    let event = outbox::event(&SERVICE, "account.settled", user, &data);
    outbox::enqueue_for(tx, "accounts", &["billing"], &event).await
}

/// Refuses (401) an order of an account whose deletion came between its token and here.
pub async fn refuse(db: &Db, user: &str) -> Result<(), Problem> {
    let gone = db
        .first("SELECT 1 FROM gone_accounts WHERE user_id = ?", &[&user])
        .await?;
    match gone {
        None => Ok(()),
        Some(_) => Err(guard::revoked()),
    }
}
