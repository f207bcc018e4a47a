//! What other issuers publish: their keys, and where users sign in. Auth alone asks them; the guards read
//! from the key-value store what it finds (`wasmart_tokens::notes`).

use crate::key_value::{open, open_default, unavailable};
use crate::{SERVICE, outbound};
use serde::de::DeserializeOwned;
use serde_json::Value;
use spin_sdk::wasip3::clocks::monotonic_clock::wait_for;
use wasmart_service::db::{Db, DbError};
use wasmart_service::http::Problem;
use wasmart_service::{clock, config};
use wasmart_tokens::config::{Provider, may_be_asked, providers, trusted_issuers};
use wasmart_tokens::keys::parse_published;
use wasmart_tokens::notes::{self, Found, IssuerKeys, Metadata, keys_key, wanted_key};

/// How often one looks for the answer to another's question, and how long between two looks, in nanoseconds.
const LOOKS: u32 = 20;
const PAUSE: u64 = 100_000_000;

/// Whether anybody but us is trusted with anything.
pub async fn any() -> bool {
    !all().await.is_empty()
}

/// The provider of this name; 404 where there is none.
pub async fn provider(name: &str) -> Result<Provider, Problem> {
    let all = providers(&config::optional("providers").await.unwrap_or_default());
    let mut all = all.map_err(Problem::misconfigured)?.into_iter();
    all.find(|provider| provider.name == name)
        .ok_or_else(|| Problem::not_found("provider"))
}

/// All of them, once each. A variable that can't be read names nobody.
async fn all() -> Vec<String> {
    let text = async |name| config::optional(name).await.unwrap_or_default();
    let trusted = trusted_issuers(&text("trusted_issuers").await);
    let providers = providers(&text("providers").await);
    for fault in [trusted.as_ref().err(), providers.as_ref().err()] {
        fault.inspect(|fault| wasmart_service::log!("{fault}"));
    }
    let trusted = trusted.unwrap_or_default().into_iter().map(|it| it.issuer);
    let providers = providers.unwrap_or_default().into_iter();
    let mut issuers: Vec<String> = trusted.chain(providers.map(|it| it.issuer)).collect();
    issuers.sort();
    issuers.dedup();
    issuers
}

/// Asks every issuer whose keys are old, or that a guard wants to know more of. The tick's part.
pub async fn refresh(db: &Db) -> Result<(), Problem> {
    let notes = open(notes::STORE).await?;
    for issuer in all().await {
        let wanted = wanted_key(&issuer);
        let is_wanted = notes.exists(&wanted).await.map_err(unavailable)?;
        let known = read(&issuer).await?;
        let old = seconds("issuer_refresh_seconds", 900).await;
        let is_old = known.as_ref().is_none_or(|known| {
            known.found.is_none() || !(0..old).contains(&(clock::now_ms() - known.asked_at))
        });
        if (is_old || is_wanted) && may_ask(db, &issuer).await? {
            ask(&issuer, known).await?;
            // Only now: a note that came meanwhile is answered too, and would cost another question later.
            notes.delete(&wanted).await.map_err(unavailable)?;
        }
    }
    Ok(())
}

/// What an issuer publishes, asked for now where it is not known; 503 where it does not answer.
pub async fn found(issuer: &str) -> Result<Found, Problem> {
    if let Some(found) = read(issuer).await?.and_then(|known| known.found) {
        return Ok(found);
    }
    renewed(issuer).await
}

/// As [`found`], asked for once more if that may be.
pub async fn renewed(issuer: &str) -> Result<Found, Problem> {
    let known = read(issuer).await?;
    let known = if may_ask(&Db::open(&SERVICE).await?, issuer).await? {
        Some(ask(issuer, known).await?)
    } else if known.is_some() {
        known
    } else {
        asked_by_another(issuer).await?
    };
    let unknown = || Problem::unavailable(format!("{issuer} has not answered"));
    known.and_then(|known| known.found).ok_or_else(unknown)
}

/// What comes of a question that is under way, if it comes soon: the first user to sign in after a start need
/// not be alone.
async fn asked_by_another(issuer: &str) -> Result<Option<IssuerKeys>, Problem> {
    for _ in 0..LOOKS {
        wait_for(PAUSE).await;
        if let Some(known) = read(issuer).await? {
            return Ok(Some(known));
        }
    }
    Ok(None)
}

/// One question in so many seconds, whoever asks and however many hosts there are.
async fn may_ask(db: &Db, issuer: &str) -> Result<bool, DbError> {
    let now = clock::now_ms();
    let pause = seconds("issuer_refetch_seconds", 30).await;
    let row = db
        .first(
            // A time that lies ahead was written before a clock was set back.
            "INSERT INTO issuer_fetches (issuer, asked_at) VALUES (?1, ?2)
             ON CONFLICT (issuer) DO UPDATE SET asked_at = excluded.asked_at
                 WHERE asked_at <= ?2 - ?3 OR asked_at > ?2 RETURNING 1",
            &[&issuer, &now, &pause],
        )
        .await?;
    Ok(row.is_some())
}

/// An issuer that does not answer, or nonsense, keeps the keys that are known.
async fn ask(issuer: &str, known: Option<IssuerKeys>) -> Result<IssuerKeys, Problem> {
    let found = discover(issuer).await;
    if let Err(fault) = &found {
        wasmart_service::log!("the keys of {issuer} stay as they were: {fault}");
    }
    let known = IssuerKeys {
        issuer: issuer.to_owned(),
        asked_at: clock::now_ms(),
        found: found.ok().or_else(|| known.and_then(|known| known.found)),
    };
    let entry = serde_json::to_vec(&known).map_err(|error| Problem::internal(error.to_string()))?;
    let store = open_default().await?;
    store
        .set(keys_key(issuer), entry)
        .await
        .map_err(unavailable)?;
    Ok(known)
}

/// OpenID Connect Discovery 1.0, §4: the document names the issuer it is of, and is believed for no other.
async fn discover(issuer: &str) -> Result<Found, String> {
    let base = issuer.trim_end_matches('/');
    let document = outbound::get(&format!("{base}/.well-known/openid-configuration")).await?;
    if document["issuer"] != issuer {
        return Err("its document is of another issuer".to_owned());
    }
    let metadata: Metadata = from(document)?;
    let endpoints = [&metadata.authorization_endpoint, &metadata.token_endpoint];
    let urls = endpoints.into_iter().flatten().chain([&metadata.jwks_uri]);
    for url in urls {
        if !may_be_asked(url, issuer) {
            return Err(format!("it names {url:?}, which may not be asked"));
        }
    }
    let jwks = outbound::get(&metadata.jwks_uri).await?;
    // An empty set is a valid answer: the issuer has withdrawn all its keys.
    parse_published(&jwks.to_string())?;
    Ok(Found { jwks, metadata })
}

fn from<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}

async fn read(issuer: &str) -> Result<Option<IssuerKeys>, Problem> {
    let store = open_default().await?;
    let entry = store.get(keys_key(issuer)).await.map_err(unavailable)?;
    Ok(entry.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

/// A variable in seconds, as milliseconds.
async fn seconds(name: &str, usual: i64) -> i64 {
    let text = config::optional(name).await;
    let seconds = text.and_then(|text| text.parse().ok()).unwrap_or(usual);
    seconds.max(1) * 1000
}
