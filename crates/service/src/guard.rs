//! Who is calling: an extractor over `wasmart:auth/guard`, the one place where tokens are checked.

use crate::http::Problem;
use axum::extract::FromRequestParts;
use http::StatusCode;
use http::header::AUTHORIZATION;
use http::request::Parts;
use spin_sdk::wasip3::clocks::monotonic_clock::wait_for;

#[allow(missing_docs, unsafe_code, clippy::all)]
mod generated {
    wit_bindgen::generate!({
        inline: "
            package wasmart:caller;
            world caller { import wasmart:auth/guard@1.0.0; }
        ",
        path: "../../wit/auth",
        generate_all,
        // A plain call: the instance stands still for it, as for a read of the database.
        async: false,
    });
}

use generated::wasmart::auth::guard::{Claims, Denial, authorize};

/// The account behind a request: taken as an argument, it makes a handler refuse all others (401).
#[derive(Clone, Debug)]
pub struct Caller {
    /// The account's id.
    pub id: String,
    /// The access token's id.
    pub token_id: String,
    /// When the access token ends, in seconds since the Unix epoch.
    pub expires_at: u64,
    /// The account's email, where the token says it.
    pub email: Option<String>,
    /// The account's username, where the token says it.
    pub username: Option<String>,
    roles: Vec<String>,
}

impl Caller {
    /// What the account may do; never empty.
    pub fn roles(&self) -> &[String] {
        &self.roles
    }

    /// Whether the account has one of these roles.
    pub fn is_any(&self, roles: &[&str]) -> bool {
        self.roles.iter().any(|role| roles.contains(&role.as_str()))
    }

    /// Whether the account is staff.
    pub fn is_staff(&self) -> bool {
        self.is_any(&STAFF)
    }

    /// Refuses (403) accounts without any of these roles.
    pub fn require_any(&self, roles: &[&str]) -> Result<(), Problem> {
        if self.is_any(roles) {
            Ok(())
        } else {
            Err(Problem::forbidden())
        }
    }
}

/// A member of staff; all others are refused (403). As the first argument of a handler it is
/// checked before ids, queries and bodies are read, so that a stranger learns nothing from how
/// these are refused.
#[derive(Clone, Debug)]
pub struct Staff(pub Caller);

/// As [`Staff`], for administrators alone.
#[derive(Clone, Debug)]
pub struct Admin(pub Caller);

/// The roles of staff.
const STAFF: [&str; 2] = ["manager", "admin"];
const ADMIN: [&str; 1] = ["admin"];

impl From<Claims> for Caller {
    fn from(claims: Claims) -> Caller {
        Caller {
            id: claims.subject,
            token_id: claims.token_id,
            expires_at: claims.expires_at,
            email: claims.email,
            username: claims.username,
            roles: claims.roles,
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Caller, Problem> {
        let header = parts
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        check(header).await.map(Caller::from).map_err(refuse)
    }
}

impl<S: Sync> FromRequestParts<S> for Staff {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Staff, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        caller.require_any(&STAFF)?;
        Ok(Staff(caller))
    }
}

impl<S: Sync> FromRequestParts<S> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Admin, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        caller.require_any(&ADMIN)?;
        Ok(Admin(caller))
    }
}

/// The account behind a request that needs none: a route that is open to all but shows more to
/// some. A token that is sent must be valid: a request with an invalid one is refused, and not
/// answered as if it had none.
#[derive(Clone, Debug)]
pub struct MaybeCaller(pub Option<Caller>);

impl MaybeCaller {
    /// Whether the account is staff.
    pub fn is_staff(&self) -> bool {
        self.0.as_ref().is_some_and(Caller::is_staff)
    }
}

impl<S: Sync> FromRequestParts<S> for MaybeCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<MaybeCaller, Problem> {
        let Some(header) = parts.headers.get(AUTHORIZATION) else {
            return Ok(MaybeCaller(None));
        };
        match check(header.to_str().ok()).await {
            Ok(claims) => Ok(MaybeCaller(Some(claims.into()))),
            // Not a bearer token, such as a proxy's own Basic credentials: this counts as no token.
            Err(Denial::Missing) => Ok(MaybeCaller(None)),
            Err(denial) => Err(refuse(denial)),
        }
    }
}

/// How often one looks whether the keys of another issuer have come, and how long between two looks, in nanoseconds.
const LOOKS: u32 = 25;
const PAUSE: u64 = 100_000_000;

/// `Retry-After`, in seconds, for a client that has waited in vain for the keys of another issuer:
/// the tick fetches them, and the issuer may be slow.
const KEYS_WITHIN_S: u64 = 5;

/// Asks the guard. While it waits for keys, others are served: the wait is here, as the guard is called plainly.
async fn check(header: Option<&str>) -> Result<Claims, Denial> {
    for _ in 0..LOOKS {
        match authorize(header, false) {
            Err(Denial::Pending) => wait_for(PAUSE).await,
            answer => return answer,
        }
    }
    authorize(header, true)
}

/// 401: a token that was good once, and whose account or session has ended.
pub fn revoked() -> Problem {
    refuse(Denial::Revoked)
}

/// RFC 6750 §3: the challenge names an error only when a token was there.
fn refuse(denial: Denial) -> Problem {
    let (slug, detail) = match denial {
        Denial::Missing => {
            return Problem::new(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "Authentication required",
            )
            .challenge("Bearer");
        }
        Denial::Invalid => ("invalid-token", "The access token is not valid"),
        Denial::Expired => ("expired-token", "The access token has expired"),
        Denial::Revoked => ("revoked-token", "The access token has been revoked"),
        Denial::Pending => {
            let problem = Problem::unavailable("tokens can't be checked: no answer");
            return problem.retry_after(KEYS_WITHIN_S);
        }
        Denial::Unavailable(reason) => {
            return Problem::unavailable(format!("tokens can't be checked: {reason}"));
        }
    };
    Problem::new(StatusCode::UNAUTHORIZED, slug, detail).challenge("Bearer error=\"invalid_token\"")
}
