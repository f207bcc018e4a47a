//! `DELETE /internal/auth/users/{id}`: the end of an account. Asked for by users, which checks who
//! may; told to all who keep something for the account.

use crate::store::Deleted;
use crate::{SERVICE, identities, issuers, revocation, seen, store};
use http::{HeaderMap, StatusCode};
use wasmart_contracts::messages::AccountDeleted;
use wasmart_service::db::Db;
use wasmart_service::http::{Id, Problem, internal_only};
use wasmart_service::outbox;

/// 204 as often as it is asked; 404 only for an account that never was.
pub async fn delete(headers: HeaderMap, Id(id): Id) -> Result<StatusCode, Problem> {
    internal_only(&headers).await?;
    if issuers::any().await {
        // An account that a guard has let in a moment ago may be but a note yet: it must not come to be later.
        seen::take_in(Db::open(&SERVICE).await?).await?;
    }
    let tx = Db::open(&SERVICE).await?.begin().await?;
    match store::delete_account(&tx, &id).await? {
        Deleted::Unknown => {
            tx.rollback().await?;
            return Err(Problem::not_found("account"));
        }
        Deleted::Before => tx.rollback().await?,
        Deleted::Now => {
            revocation::revoke_account(&tx, &id).await?;
            identities::changed(&tx, &id).await?;
            let data = AccountDeleted {
                user_id: id.clone(),
            };
            let event = outbox::event(&SERVICE, "account.deleted", &id, &data);
            let receivers = ["users", "billing", "notifications"];
            outbox::enqueue_for(&tx, "accounts", &receivers, &event).await?;
            tx.commit().await?;
        }
    }
    let db = Db::open(&SERVICE).await?;
    identities::apply(&db).await?;
    revocation::apply(&db).await?;
    outbox::drain(&SERVICE).await;
    Ok(StatusCode::NO_CONTENT)
}
