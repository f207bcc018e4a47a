//! Who is it? The one place where a login and a password become an account, for every endpoint that
//! takes them: throttled, recorded, and with the same answer after the same work for whatever is wrong.

use crate::audit::{Entry, Kind};
use crate::login_name::LoginName;
use crate::passwords::{self, Verdict};
use crate::store::{self, Account};
use crate::throttle::{self, Attempt, Scope};
use crate::{SERVICE, first_admin, spelling};
use http::StatusCode;
use serde_json::json;
use wasmart_service::db::Db;
use wasmart_service::http::{Client, Problem};

/// The account that this is the login and the password of.
///
/// # Errors
/// 401 `invalid-credentials` for an unknown login, a wrong password, a disabled account; 429
/// `too-many-attempts` when too many have failed; 5xx problems.
pub async fn authenticate(login: &str, password: &str, client: Client) -> Result<Account, Problem> {
    spelling::ensure().await?;
    first_admin::ensure().await?;
    let login = LoginName::read(login);
    let (found, imported) = {
        let db = Db::open(&SERVICE).await?;
        let found = store::by_login(&db, &login).await?;
        (found, store::imported_cost(&db).await?)
    };
    let owner = found.as_ref().map(|(account, _)| account.id.as_str());
    let attempt = Attempt::begin(Scope::Login, login.text(), owner, client).await?;
    let hash = found.as_ref().map(|(_, hash)| hash.as_str());
    let verdict = passwords::verify(password, hash, imported)?;
    match found {
        Some((account, hash)) if verdict != Verdict::Wrong && account.disabled_at.is_none() => {
            let better = match verdict {
                Verdict::Outdated => Some(passwords::hash(password)?),
                _ => None,
            };
            let tx = Db::open(&SERVICE).await?.begin().await?;
            attempt.succeeded(&tx).await?;
            throttle::know(&tx, &account.id, client).await?;
            if let Some(better) = better {
                store::upgrade_hash(&tx, &account.id, &hash, &better).await?;
            }
            let record = Entry::new(Kind::LoginSucceeded).about(Some(&account.id));
            let record = record.from(client).write(&tx).await?;
            tx.commit().await?;
            record.log();
            Ok(account)
        }
        other => {
            let tx = Db::open(&SERVICE).await?.begin().await?;
            attempt.failed(&tx).await?;
            let account = other.as_ref().map(|(account, _)| account);
            let why = match (account, verdict) {
                (None, _) => "no such account",
                (Some(_), Verdict::Wrong) => "wrong password",
                (Some(_), _) => "disabled",
            };
            let record = Entry::new(Kind::LoginRefused)
                .about(account.map(|account| account.id.as_str()))
                .with(json!({"reason": why}));
            let record = record.from(client).write(&tx).await?;
            tx.commit().await?;
            record.log();
            Err(refused())
        }
    }
}

fn refused() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "invalid-credentials",
        "Wrong login or password",
    )
    .challenge("Bearer")
}
