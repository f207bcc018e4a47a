//! `DELETE /internal/auth/users/{id}`: the end of an account. Asked for by users, which checks who
//! may; told to all who keep something for the account. Billing hears of it from orders, once no order
//! of the account moves money any more.

use crate::admin::keep_an_admin;
use crate::audit::{Entry, Kind};
use crate::store::Deleted;
use crate::{
    SERVICE, identities, issuers, password_reset, registration_key, resets, revocation, seen,
    store, throttle,
};
use http::StatusCode;
use serde::Deserialize;
use wasmart_contracts::messages::AccountDeleted;
use wasmart_service::db::Db;
use wasmart_service::http::{Id, Params, Problem};
use wasmart_service::{dead_letters, outbox};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct By {
    /// Who wants it.
    by: Option<String>,
}

/// 204 as often as it is asked; 404 only for an account that never was; 409 for the last administrator.
pub async fn delete(Id(id): Id, Params(By { by }): Params<By>) -> Result<StatusCode, Problem> {
    if issuers::any().await {
        // An account that a guard has let in a moment ago may be but a note yet: it must not come to be later.
        seen::take_in(Db::open(&SERVICE).await?).await?;
    }
    let tx = Db::open(&SERVICE).await?.begin().await?;
    if let Some(account) = store::by_id(&tx, &id).await? {
        keep_an_admin(&tx, &account).await?;
    }
    match store::delete_account(&tx, &id).await? {
        Deleted::Unknown => {
            tx.rollback().await?;
            return Err(Problem::not_found("account"));
        }
        Deleted::Before => tx.rollback().await?,
        Deleted::Now => {
            revocation::revoke_account(&tx, &id).await?;
            resets::forget(&tx, &id).await?;
            password_reset::forget_events(&tx, &id).await?;
            store::empty_announcements(&tx, &id).await?;
            dead_letters::forget(&tx, &id).await?;
            throttle::forget_networks(&tx, &id).await?;
            registration_key::forget(&tx, &id).await?;
            identities::changed(&tx, &id).await?;
            let data = AccountDeleted {
                user_id: id.clone(),
            };
            let event = outbox::event(&SERVICE, "account.deleted", &id, &data);
            let receivers = ["orders", "users", "notifications"];
            outbox::enqueue_for(&tx, "accounts", &receivers, &event).await?;
            let record = Entry::new(Kind::Deleted).about(Some(&id));
            let record = record.by(by.as_deref()).write(&tx).await?;
            tx.commit().await?;
            record.log();
        }
    }
    identities::apply_with_tokens(&Db::open(&SERVICE).await?).await?;
    outbox::drain(&SERVICE).await;
    Ok(StatusCode::NO_CONTENT)
}
