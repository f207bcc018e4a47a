//! What the services report, turned into notifications: at most one per event.

use crate::{mails, store, text};
use wasmart_contracts::envelope::Event;
use wasmart_contracts::messages::{
    AccountDeleted, DepositNotice, OrderNotice, PasswordChanged, PasswordForgotten,
};
use wasmart_service::db::Tx;
use wasmart_service::dead_letters;
use wasmart_service::inbox::{Handled, Handler, Refusal};

pub struct Notices;

impl Handler for Notices {
    async fn handle(&self, tx: &Tx, event: &Event) -> Result<Handled, Refusal> {
        match event.kind.as_str() {
            "order.created" | "order.paid" | "order.completed" | "order.canceled"
            | "order.rejected" => {
                let notice: OrderNotice = event.payload()?;
                let text = text::order(&event.kind, &notice);
                store::insert(tx, event, &notice.user_id, &text, Some(&notice.order_id)).await?;
            }
            "deposit.accepted" => {
                let notice: DepositNotice = event.payload()?;
                store::insert(tx, event, &notice.user_id, &text::deposit(&notice), None).await?;
            }
            "password.forgotten" => {
                let asked: PasswordForgotten = event.payload()?;
                let mail = text::reset_mail(&asked);
                mails::insert(tx, event, &asked.user_id, &mail, asked.expires_at).await?;
            }
            "password.changed" => {
                let user_id = event.payload::<PasswordChanged>()?.user_id;
                mails::forget(tx, &user_id).await?;
                store::insert(tx, event, &user_id, text::PASSWORD_CHANGED, None).await?;
            }
            "account.deleted" => {
                let user_id = event.payload::<AccountDeleted>()?.user_id;
                store::forget(tx, &user_id).await?;
                mails::forget(tx, &user_id).await?;
                dead_letters::forget(tx, &user_id).await?;
            }
            other => return Err(Refusal::Poison(format!("{other} is not for notifications"))),
        }
        Ok(Handled::Ack)
    }
}
