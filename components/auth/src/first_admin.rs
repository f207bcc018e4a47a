//! The first administrator, named by the variables `admin_email` and `admin_password`. The shop
//! makes it once in its life. It makes none if there has ever been an administrator, even one that
//! was deleted or demoted since, or if an account has the email already.

use crate::audit::{Entry, Kind};
use crate::hashing::Place;
use crate::store::{self, Account};
use crate::{SERVICE, password_rules, passwords, register};
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use wasmart_contracts::messages::AccountRegistered;
use wasmart_domain::account::{Role, normalize_email};
use wasmart_service::db::{Db, DbError};
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
    if !is_wanted(&Db::open(&SERVICE).await?, &email).await? {
        return Ok(());
    }
    let place = Place::take("the first administrator").await?;
    // Another instance may have been faster: before the hash, or during it.
    if !is_wanted(&Db::open(&SERVICE).await?, &email).await? {
        return Ok(place.leave_now().await?);
    }
    let password_hash = passwords::hash(password)?;
    let tx = Db::open(&SERVICE).await?.begin().await?;
    place.leave(&tx).await?;
    if !is_wanted(&tx, &email).await? {
        return Ok(tx.commit().await?);
    }
    store::note_admin(&tx).await?;
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
    let record = Entry::new(Kind::FirstAdminMade)
        .about(Some(&account.id))
        .with(json!({"by": "the variable admin_email"}));
    let record = record.write(&tx).await?;
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
    record.log();
    wasmart_service::log!("the first admin is made");
    outbox::drain(&SERVICE).await;
    Ok(())
}

async fn is_wanted(db: &Db, email: &str) -> Result<bool, DbError> {
    Ok(!store::has_had_admin(db).await? && !store::is_taken(db, email, None).await?)
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    /// Migrates a database of the previous version with these rows. Returns whether the shop then
    /// knows that it has had an administrator.
    fn is_known_after(rows: &str) -> bool {
        let connection = Connection::open_in_memory().expect("SQLite");
        for sql in [
            include_str!("../migrations/0001_init.sql"),
            include_str!("../migrations/0003_accounts.sql"),
            include_str!("../migrations/0005_audit.sql"),
            rows,
            include_str!("../migrations/0012_first_admin.sql"),
        ] {
            connection.execute_batch(sql).expect("a migration");
        }
        let sql = "SELECT count(*) FROM first_admin";
        let known = connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        known.expect("a count") == 1
    }

    fn account(role: &str, deleted_at: &str) -> String {
        format!(
            "INSERT INTO accounts (id, password_hash, role, created_at, deleted_at)
             VALUES ('1', '', '{role}', 1, {deleted_at})"
        )
    }

    #[test]
    fn an_existing_database_that_has_had_an_administrator_is_known() {
        assert!(!is_known_after(""));
        assert!(!is_known_after(&account("customer", "NULL")));
        assert!(is_known_after(&account("admin", "NULL")));
        assert!(is_known_after(&account("admin", "2")), "deleted");
        let demoted = "; INSERT INTO audit (id, kind, at) VALUES ('1', 'role.changed', 1)";
        assert!(is_known_after(&(account("customer", "2") + demoted)));
    }
}
