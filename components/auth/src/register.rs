//! `POST /auth/register`: a new account, logged in at once.

use crate::audit::{Entry, Kind};
use crate::authenticate::authenticate;
use crate::login::open_session;
use crate::registration_key::{RegistrationKey, key_reused};
use crate::session::{Family, Session};
use crate::store::{self, Account};
use crate::throttle::{self, Attempt, Scope};
use crate::{SERVICE, first_admin, password_rules, passwords, spelling};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use wasmart_contracts::messages::AccountRegistered;
use wasmart_domain::account::{Role, normalize_email, normalize_username};
use wasmart_domain::text::{PERSON_NAME, TextError, clean_language, clean_phone};
use wasmart_service::db::{Db, DbError, Tx};
use wasmart_service::http::{Client, FieldError, Input, Problem};
use wasmart_service::{clock, new_id, outbox};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Register {
    email: String,
    password: String,
    username: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub phone: Option<String>,
    pub language: Option<String>,
}

/// 201 with tokens. 409 when the email, the username or both belong to another account: the same
/// answer for all of these, after the same work as a success, counted and audited, so that emails
/// can't be probed cheaply. A repeat with the same `Idempotency-Key` gets an answer for the account
/// that the first request made.
pub async fn register(
    client: Client,
    headers: HeaderMap,
    Input(mut input): Input<Register>,
) -> Result<Response, Problem> {
    spelling::ensure().await?;
    first_admin::ensure().await?;
    let account = checked(&mut input)?;
    let key = RegistrationKey::read(&headers, &account, &input)?;
    if let Some(id) = key.look_up().await? {
        return repeat(&id, &account, &input.password, client).await;
    }
    let attempt = Attempt::begin(Scope::Register, "", None, client).await?;
    let password_hash = passwords::hash(&input.password)?;
    let session = Session::new(account, Family::new()).await?;
    let tx = Db::open(&SERVICE).await?.begin().await?;
    // The same request may have come twice at once.
    if let Some(id) = key.earlier(&tx).await? {
        tx.rollback().await?;
        attempt.withdraw().await?;
        return repeat(&id, &session.account, &input.password, client).await;
    }
    if is_taken(&tx, &session.account).await? {
        attempt.failed(&tx).await?;
        let record = Entry::new(Kind::RegistrationRefused).from(client);
        let record = record.write(&tx).await?;
        tx.commit().await?;
        record.log();
        return Err(already_registered());
    }
    insert(&tx, &session.account, &password_hash, input).await?;
    store::insert_session(&tx, &session, None).await?;
    key.keep(&tx, &session.account.id).await?;
    attempt.succeeded(&tx).await?;
    throttle::know(&tx, &session.account.id, client).await?;
    let record = Entry::new(Kind::Registered).about(Some(&session.account.id));
    let record = record.from(client).write(&tx).await?;
    tx.commit().await?;
    record.log();
    outbox::drain(&SERVICE).await;
    session.answer(StatusCode::CREATED)
}

/// The same registration once more. The tokens of the first one are not stored, so this is a login,
/// with all its checks. With another password it is a different request.
async fn repeat(
    id: &str,
    account: &Account,
    password: &str,
    client: Client,
) -> Result<Response, Problem> {
    let email = account.email.as_deref().unwrap_or_default();
    match authenticate(email, password, client).await {
        Ok(account) if account.id == id => open_session(account).await?.answer(StatusCode::CREATED),
        Ok(_) => Err(already_registered()),
        Err(problem) if problem.status() == StatusCode::UNAUTHORIZED => Err(key_reused()),
        Err(problem) => Err(problem),
    }
}

async fn is_taken(tx: &Tx, account: &Account) -> Result<bool, DbError> {
    let email = account.email.as_deref().unwrap_or_default();
    store::is_taken(tx, email, account.username.as_deref()).await
}

fn already_registered() -> Problem {
    Problem::conflict(
        "already-registered",
        "There is an account already; log in or reset its password",
    )
}

/// The new row, and the word to those who keep something for each account.
async fn insert(
    tx: &Tx,
    account: &Account,
    password_hash: &str,
    input: Register,
) -> Result<(), DbError> {
    store::insert_account(tx, account, password_hash).await?;
    announce(
        tx,
        AccountRegistered {
            user_id: account.id.clone(),
            email: account.email.clone(),
            username: account.username.clone(),
            first_name: input.first_name,
            last_name: input.last_name,
            phone: input.phone,
            language: input.language,
        },
    )
    .await
}

/// Tells of an account, in the transaction that makes it.
pub async fn announce(tx: &Tx, registered: AccountRegistered) -> Result<(), DbError> {
    let event = outbox::event(
        &SERVICE,
        "account.registered",
        &registered.user_id,
        &registered,
    );
    outbox::enqueue_for(tx, "accounts", &["users", "billing"], &event).await
}

/// Puts a text right, or says what is wrong with it.
type Clean = fn(&str) -> Result<String, TextError>;

/// Reports all faults of the input at once, and brings the owner's data into the stored form.
fn checked(input: &mut Register) -> Result<Account, Problem> {
    let mut errors = Vec::new();
    let mut fault = |field: &str, detail: String| {
        errors.push(FieldError {
            field: field.to_owned(),
            detail,
        });
    };
    let email = normalize_email(&input.email)
        .map_err(|error| fault("email", error.to_string()))
        .ok();
    let username = input.username.as_deref().map(normalize_username);
    let names = [email.as_deref(), input.username.as_deref()];
    if let Err(detail) = password_rules::check(&input.password, names) {
        fault("password", detail);
    }
    let username = username.and_then(|username| {
        username
            .map_err(|error| fault("username", error.to_string()))
            .ok()
    });
    let name = |typed: &str| PERSON_NAME.clean(typed);
    let texts: [(_, _, Clean); 4] = [
        ("first_name", &mut input.first_name, name),
        ("last_name", &mut input.last_name, name),
        ("phone", &mut input.phone, clean_phone),
        ("language", &mut input.language, clean_language),
    ];
    for (field, text, clean) in texts {
        match text.as_deref().map(clean).transpose() {
            Ok(cleaned) => *text = cleaned,
            Err(error) => fault(field, error.to_string()),
        }
    }
    if errors.is_empty() {
        let (id, created_at) = (new_id(), clock::now_ms());
        Ok(Account {
            id,
            email,
            username,
            role: Role::Customer,
            created_at,
            generation: 0,
            disabled_at: None,
        })
    } else {
        Err(Problem::fields(errors))
    }
}
