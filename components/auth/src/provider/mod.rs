//! Sign in with a provider: OpenID Connect's authorization code flow with PKCE. Two paths: one sends the
//! browser to the provider, the other takes it back. Who the provider is, where it is and where it sends
//! the browser back to are configured (variable `providers`) or discovered; no request says any of it.

mod account;
mod callback;
mod exchange;
mod start;
mod state;

pub use callback::callback;
pub use start::start;
pub use state::sweep;

use crate::signing::Signer;
use http::StatusCode;
use wasmart_service::http::Problem;
use wasmart_tokens::config::Provider;

/// As it is registered with the provider.
async fn redirect_uri(provider: &Provider) -> Result<String, Problem> {
    if let Some(uri) = &provider.redirect_uri {
        return Ok(uri.clone());
    }
    let signer = Signer::get().await?;
    let base = signer.issuer.trim_end_matches('/');
    Ok(format!("{base}/api/v1/auth/{}/callback", provider.name))
}

/// The one answer to all that goes wrong after the provider has answered. Which check it was is for the log.
fn refused(provider: &Provider, why: &str) -> Problem {
    wasmart_service::log!("a sign-in with {} is refused: {why}", provider.name);
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "sign-in-failed",
        "The sign-in did not succeed; begin again",
    )
    .challenge("Bearer")
}

/// A string as a form or a query has it.
fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish()
}
