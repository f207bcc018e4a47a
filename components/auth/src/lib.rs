//! Accounts and tokens: register, login, logout, refresh, the public keys.

#![allow(
    unsafe_code,
    reason = "the trigger macros generate the component's exports"
)]

mod admin;
mod audit;
mod authenticate;
mod check;
mod credentials;
mod deletion;
mod discovery;
mod first_admin;
mod identities;
mod issuers;
mod key_value;
mod login;
mod login_name;
mod logout;
mod outbound;
mod password_change;
mod password_reset;
mod password_rules;
mod passwords;
mod provider;
mod refresh;
mod register;
mod resets;
mod revocation;
mod seen;
mod session;
mod signing;
mod store;
mod throttle;
mod tick;
mod token_endpoint;
mod told;

use axum::Router;
use axum::routing::{any, delete, get, post, put};
use spin_sdk::http::{IntoResponse, Request};
use spin_sdk::{http_service, redis_subscriber};
use wasmart_contracts::envelope::Event;
use wasmart_service::db::{DbError, Migration, OUTBOX_RATE, Tx};
use wasmart_service::inbox::{self, Handled, Handler, Refusal};
use wasmart_service::{Service, dead_letters, http};

static SERVICE: Service = Service {
    name: "auth",
    migrations: &[
        Migration {
            version: 1,
            sql: include_str!("../migrations/0001_init.sql"),
        },
        Migration {
            version: 2,
            sql: OUTBOX_RATE,
        },
        Migration {
            version: 3,
            sql: include_str!("../migrations/0003_accounts.sql"),
        },
        Migration {
            version: 4,
            sql: include_str!("../migrations/0004_attempts.sql"),
        },
        Migration {
            version: 5,
            sql: include_str!("../migrations/0005_audit.sql"),
        },
        Migration {
            version: 10,
            sql: include_str!("../migrations/0010_issuers.sql"),
        },
        Migration {
            version: 14,
            sql: include_str!("../migrations/0014_told.sql"),
        },
        Migration {
            version: 15,
            sql: include_str!("../migrations/0015_gone.sql"),
        },
    ],
    commands: &[],
};

#[http_service]
async fn handle(request: Request) -> impl IntoResponse {
    http::serve_beside(&CHECKS, routes, request).await
}

#[redis_subscriber]
async fn on_message(message: Vec<u8>) -> Result<(), DbError> {
    inbox::receive(&SERVICE, &message, &AcksOnly).await
}

/// The seeds' spellings stand beside ours; seed 0 logs out and refreshes by GET.
fn routes() -> Router {
    let logout = || post(logout::logout).get(logout::logout);
    Router::new()
        .route("/api/v1/auth/register", post(register::register))
        .route("/api/v1/register", post(register::register))
        .route("/api/v1/users/register", post(register::register))
        .route("/api/v1/auth/login", post(login::login))
        .route("/api/v1/login", post(login::login))
        .route("/api/v1/users/login", post(login::login))
        .route("/api/v1/auth/logout", logout())
        .route("/api/v1/logout", logout())
        .route(
            "/api/v1/auth/refresh",
            post(refresh::refresh).get(refresh::refresh),
        )
        .route("/api/v1/auth/logout/everywhere", post(logout::everywhere))
        .route("/api/v1/auth/logout-all", post(logout::everywhere))
        .route("/api/v1/auth/password", post(password_change::change))
        .route("/api/v1/auth/password/forgot", post(password_reset::forgot))
        .route("/api/v1/auth/password/reset", post(password_reset::reset))
        .route("/api/v1/auth/audit", get(audit::list))
        .route("/api/v1/auth/token", post(token_endpoint::token))
        .route("/api/v1/auth/token/", post(token_endpoint::token))
        .route("/api/v1/auth/{provider}/login", get(provider::start))
        .route("/api/v1/auth/{provider}/callback", get(provider::callback))
        .merge(checks())
        .route("/api/v1/auth/users", get(admin::list))
        .route("/api/v1/auth/users/{id}", get(admin::read))
        .route("/api/v1/auth/users/{id}/disable", post(admin::disable))
        .route("/api/v1/auth/users/{id}/enable", post(admin::enable))
        .route("/api/v1/auth/users/{id}/role", put(admin::set_role))
        .route("/.well-known/jwks.json", get(discovery::jwks))
        .route("/api/v1/.well-known/jwks.json", get(discovery::jwks))
        .route(
            "/.well-known/openid-configuration",
            get(discovery::openid_configuration),
        )
        .route(
            "/api/v1/.well-known/openid-configuration",
            get(discovery::openid_configuration),
        )
        .route("/internal/auth/users/{id}", delete(deletion::delete))
        .route("/internal/auth/tick", post(tick::tick))
        .route("/api/v1/health", get(discovery::health))
        .merge(dead_letters::routes(&SERVICE, &AcksOnly))
        .merge(http::probes(&SERVICE))
}

/// What proxies ask on behalf of their clients. `istio` is seed 1's word for it.
const CHECKS: [&str; 2] = ["/api/v1/auth/check", "/api/v1/auth/istio"];

/// Any method, any path below.
fn checks() -> Router {
    let mut router = Router::new();
    for prefix in CHECKS {
        for below in ["", "/", "/{*path}"] {
            router = router.route(&format!("{prefix}{below}"), any(check::check));
        }
    }
    router
}

/// Nobody asks auth for anything over a channel; the inbox itself takes the acknowledgements.
struct AcksOnly;

impl Handler for AcksOnly {
    async fn handle(&self, _: &Tx, event: &Event) -> Result<Handled, Refusal> {
        Err(Refusal::Poison(format!("{} is not for auth", event.kind)))
    }
}
