//! The first administrator: named by the variables `admin_email` and `admin_password`, made when
//! there is no account with that email. An account that is there is left alone.

use crate::store::{self, Account};
use crate::{SERVICE, password_rules, passwords, register};
use std::sync::atomic::{AtomicBool, Ordering};
use wasmart_contracts::messages::AccountRegistered;
use wasmart_domain::account::{Role, normalize_email};
use wasmart_service::db::Db;
use wasmart_service::http::Problem;
use wasmart_service::{clock, config, new_id, outbox};

static DONE: AtomicBool = AtomicBool::new(false);

/// Called before anyone can register or log in, so that nobody else gets that email first. Costs one
/// look-up in the life of an instance.
pub async fn ensure() -> Result<(), Problem> {
    if DONE.load(Ordering::Relaxed) {
        return Ok(());
    }
    let email = config::optional("admin_email").await;
    let password = config::optional("admin_password").await;
    if let (Some(email), Some(password)) = (email, password) {
        let fit = password_rules::check(&password, [Some(email.as_str()), None]);
        match (normalize_email(&email), fit) {
            (Ok(email), Ok(())) => make(email, &password).await?,
            (Err(error), _) => wasmart_service::log!("no first admin: admin_email {error}"),
            (_, Err(error)) => wasmart_service::log!("no first admin: admin_password {error}"),
        }
    }
    DONE.store(true, Ordering::Relaxed);
    Ok(())
}

async fn make(email: String, password: &str) -> Result<(), Problem> {
    let db = Db::open(&SERVICE).await?;
    if store::taken(&db, &email, None).await?.is_some() {
        return Ok(());
    }
    let password_hash = passwords::hash(password)?;
    let tx = db.begin().await?;
    // Another instance may have been faster.
    if store::taken(&tx, &email, None).await?.is_some() {
        return Ok(tx.rollback().await?);
    }
    let account = Account {
        id: new_id(),
        email: Some(email.clone()),
        username: None,
        role: Role::Admin,
        created_at: clock::now_ms(),
        generation: 0,
        disabled_at: None,
    };
    store::insert_account(&tx, &account, &password_hash).await?;
    let registered = AccountRegistered {
        user_id: account.id,
        email: Some(email),
        username: None,
        first_name: None,
        last_name: None,
        phone: None,
        language: None,
    };
    register::announce(&tx, registered).await?;
    tx.commit().await?;
    wasmart_service::log!("the first admin is made");
    outbox::drain(&SERVICE).await;
    Ok(())
}
