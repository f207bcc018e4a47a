//! What auth tells of accounts.

use crate::store;
use wasmart_contracts::envelope::Event;
use wasmart_contracts::messages::{AccountDeleted, AccountRegistered};
use wasmart_service::db::Tx;
use wasmart_service::inbox::{Handled, Handler, Refusal};
use wasmart_service::{dead_letters, idempotency};

pub struct Accounts;

impl Handler for Accounts {
    async fn handle(&self, tx: &Tx, event: &Event) -> Result<Handled, Refusal> {
        match event.kind.as_str() {
            "account.registered" => {
                store::register(tx, &event.payload::<AccountRegistered>()?).await?;
            }
            "account.deleted" => {
                let user_id = event.payload::<AccountDeleted>()?.user_id;
                store::delete(tx, &user_id).await?;
                // The answers under its keys repeat what its profile said.
                idempotency::forget(tx, &user_id).await?;
                dead_letters::forget(tx, &user_id).await?;
            }
            other => return Err(Refusal::Poison(format!("{other} is not for users"))),
        }
        // Users has no tick of its own.
        idempotency::sweep(tx).await?;
        Ok(Handled::Ack)
    }
}
