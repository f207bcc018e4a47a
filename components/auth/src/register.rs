//! `POST /auth/register`: a new account, logged in at once.

use crate::audit::{Entry, Kind};
use crate::session::{Family, Session};
use crate::store::{self, Account, Taken};
use crate::{SERVICE, first_admin, password_rules, passwords, spelling, throttle};
use axum::response::Response;
use http::StatusCode;
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
    first_name: Option<String>,
    last_name: Option<String>,
    phone: Option<String>,
    language: Option<String>,
}

pub async fn register(
    client: Client,
    Input(mut input): Input<Register>,
) -> Result<Response, Problem> {
    spelling::ensure().await?;
    first_admin::ensure().await?;
    let account = checked(&mut input)?;
    // Looked up before the expensive part, and once more where nobody can come between.
    refuse_taken(&Db::open(&SERVICE).await?, &account).await?;
    let password_hash = passwords::hash(&input.password)?;
    let session = Session::new(account, Family::new()).await?;
    let tx = Db::open(&SERVICE).await?.begin().await?;
    refuse_taken(&tx, &session.account).await?;
    insert(&tx, &session.account, &password_hash, input).await?;
    store::insert_session(&tx, &session).await?;
    throttle::know(&tx, &session.account.id, client).await?;
    let record = Entry::new(Kind::Registered).about(Some(&session.account.id));
    let record = record.from(client).write(&tx).await?;
    tx.commit().await?;
    record.log();
    outbox::drain(&SERVICE).await;
    session.answer(StatusCode::CREATED)
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

async fn refuse_taken(db: &Db, account: &Account) -> Result<(), Problem> {
    let email = account.email.as_deref().unwrap_or_default();
    match store::taken(db, email, account.username.as_deref()).await? {
        None => Ok(()),
        Some(Taken::Email) => Err(Problem::conflict(
            "email-taken",
            "There is an account with this email",
        )),
        Some(Taken::Username) => Err(Problem::conflict(
            "username-taken",
            "There is an account with this username",
        )),
    }
}

/// All faults of the input at once; what is told of its owner becomes what is stored.
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
    let texts: [(_, _, fn(&str) -> Result<String, TextError>); 4] = [
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
