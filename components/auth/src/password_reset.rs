//! A new password for somebody who has forgotten the old one: `POST /auth/password/forgot` has a token
//! mailed, `POST /auth/password/reset` takes it, once and within ten minutes.
//!
//! The token is stored as its hash. In clear it is in the event that hands it to notifications until
//! that is acknowledged, and in the mail there until it is used or past its end; both are then removed.

use crate::audit::{Entry, Kind};
use crate::hashing::Place;
use crate::login_name::LoginName;
use crate::password_change::{changed, check_new};
use crate::session::random_token;
use crate::signing::digest;
use crate::throttle::{self, Attempt, Scope};
use crate::{SERVICE, identities, passwords, resets, revocation, store};
use axum::Json;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use wasmart_contracts::messages::PasswordForgotten;
use wasmart_service::clock::now_ms;
use wasmart_service::db::{Db, DbError};
use wasmart_service::http::{Client, Input, Problem};
use wasmart_service::outbox;

/// Tokens of one account that are good at once. More are not mailed: nobody's mailbox is to be filled,
/// and those that are there stay good, so that a stranger who asks for more is no obstacle.
const AT_ONCE: i64 = 5;
/// The type of the event that carries a token.
const FORGOTTEN: &str = "password.forgotten";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forgot {
    /// An email or a username.
    #[serde(alias = "login")]
    email: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    token: String,
    #[serde(alias = "new_password")]
    password: String,
}

/// 202 after the same work, whether there is such an account or not. So the event is not sent from here:
/// the tick does, or whoever drains next.
pub async fn forgot(
    client: Client,
    Input(input): Input<Forgot>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let login = LoginName::read(&input.email);
    // Counted, and never taken back: mails are what is asked for.
    let attempt = Attempt::begin(Scope::Forgot, login.text(), None, client).await?;
    let token = random_token()?;
    let expires_at = now_ms() + resets::LIFETIME_MS;

    let tx = Db::open(&SERVICE).await?.begin().await?;
    attempt.failed(&tx).await?;
    let asked = resets::insert(&tx, &login, &digest(&token), expires_at, AT_ONCE).await?;
    let account = asked.as_ref().map(|(account, _)| account.as_str());
    let record = Entry::new(Kind::ResetRequested).about(account);
    let record = record.from(client).write(&tx).await?;
    if let Some((user_id, email)) = asked {
        let data = PasswordForgotten {
            user_id: user_id.clone(),
            email,
            token,
            expires_at,
        };
        let event = outbox::event(&SERVICE, FORGOTTEN, &user_id, &data);
        outbox::enqueue(&tx, "notifications", &event).await?;
    }
    tx.commit().await?;
    record.log();
    let body = json!({"detail": "If there is such an account, a mail is on its way to it"});
    Ok((StatusCode::ACCEPTED, Json(body)))
}

/// 204: the new password is good, and all sessions have ended. A right token never waits because of
/// wrong ones from the same network; only wrong ones are counted.
pub async fn reset(client: Client, Input(input): Input<Reset>) -> Result<StatusCode, Problem> {
    let hash = digest(&input.token);
    let known = resets::account_of(&Db::open(&SERVICE).await?, &hash).await?;
    let Some(account) = known else {
        return Err(refuse(client).await?);
    };
    // If the password is refused, the token stays valid.
    check_new("password", &input.password, &account)?;
    let place = Place::take(&digest(&format!("network {}", client.network()))).await?;
    let password_hash = passwords::hash(&input.password)?;

    let tx = Db::open(&SERVICE).await?.begin().await?;
    place.leave(&tx).await?;
    if !resets::use_up(&tx, &hash).await? {
        tx.rollback().await?;
        place.leave_now().await?;
        return Err(refuse(client).await?);
    }
    let Some(account) = store::set_hash(&tx, &account.id, &password_hash).await? else {
        tx.rollback().await?;
        place.leave_now().await?;
        return Err(refuse(client).await?);
    };
    let logins: Vec<&str> = [&account.email, &account.username]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect();
    throttle::excuse(&tx, &logins, client).await?;
    throttle::know(&tx, &account.id, client).await?;
    forget_events(&tx, &account.id).await?;
    changed(&tx, &account).await?;
    // The token came by mail: whoever has it reads that mailbox.
    identities::set_email_verified(&tx, &account.id).await?;
    let record = Entry::new(Kind::PasswordReset).about(Some(&account.id));
    let record = record.from(client).write(&tx).await?;
    tx.commit().await?;
    record.log();
    revocation::apply(&Db::open(&SERVICE).await?).await?;
    outbox::drain(&SERVICE).await;
    Ok(StatusCode::NO_CONTENT)
}

/// One answer for a token that is unknown, used, expired, or of a deleted account. It is counted;
/// after too many the answer is 429.
async fn refuse(client: Client) -> Result<Problem, Problem> {
    let attempt = Attempt::begin(Scope::Reset, "", None, client).await?;
    let tx = Db::open(&SERVICE).await?.begin().await?;
    attempt.failed(&tx).await?;
    let record = Entry::new(Kind::ResetRefused).from(client);
    let record = record.write(&tx).await?;
    tx.commit().await?;
    record.log();
    let problem = Problem::new(
        StatusCode::UNAUTHORIZED,
        "invalid-reset-token",
        "The token is not valid; ask for another one",
    );
    Ok(problem.challenge("Bearer"))
}

/// Removes tokens that are past their end, and the events that carry them where nobody took those in.
pub async fn sweep(db: &Db) -> Result<(), DbError> {
    resets::sweep(db).await?;
    db.execute(
        "DELETE FROM outbox WHERE channel = 'notifications' AND created_at < ?
             AND json_extract(event, '$.type') = ?",
        &[&(now_ms() - resets::LIFETIME_MS), &FORGOTTEN],
    )
    .await
}

/// Removes the events that carry an account's tokens.
pub async fn forget_events(db: &Db, account: &str) -> Result<(), DbError> {
    db.execute(
        "DELETE FROM outbox WHERE subject = ? AND json_extract(event, '$.type') = ?",
        &[&account, &FORGOTTEN],
    )
    .await
}
