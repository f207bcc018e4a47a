//! Accounts and tokens: register, login, logout, refresh, the public keys.

#![allow(
    unsafe_code,
    reason = "the trigger macros generate the component's exports"
)]

mod admin;
mod audit;
mod authenticate;
mod check;
mod client_authentication;
mod credentials;
mod deletion;
mod discovery;
mod first_admin;
mod hashing;
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
mod refresh_tokens;
mod register;
mod registration_key;
mod resets;
mod revocation;
mod seen;
mod session;
mod signing;
mod spelling;
mod store;
mod throttle;
mod tick;
mod token_endpoint;
mod told;

use spin_sdk::http::{IntoResponse, Request};
use spin_sdk::{http_service, redis_subscriber};
use wasmart_contracts::envelope::Event;
use wasmart_service::db::{DbError, Migration, OUTBOX_RATE, Tx};
use wasmart_service::http::{self, Routes};
use wasmart_service::inbox::{self, Handled, Handler, Refusal};
use wasmart_service::operators::OPERATOR_ACTIONS;
use wasmart_service::{Service, dead_letters};

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
            version: 11,
            sql: include_str!("../migrations/0011_hashing.sql"),
        },
        Migration {
            version: 12,
            sql: include_str!("../migrations/0012_first_admin.sql"),
        },
        Migration {
            version: 13,
            sql: include_str!("../migrations/0013_audit.sql"),
        },
        Migration {
            version: 14,
            sql: include_str!("../migrations/0014_told.sql"),
        },
        Migration {
            version: 15,
            sql: include_str!("../migrations/0015_gone.sql"),
        },
        Migration {
            version: 16,
            sql: include_str!("../migrations/0016_spelling.sql"),
        },
        Migration {
            version: 17,
            sql: OPERATOR_ACTIONS,
        },
    ],
    commands: &[],
    channels: &["acks"],
};

#[http_service]
async fn handle(request: Request) -> impl IntoResponse {
    http::serve(routes, request).await
}

#[redis_subscriber]
async fn on_message(message: Vec<u8>) -> Result<(), DbError> {
    inbox::receive(&SERVICE, &message, &AcksOnly).await
}

fn routes() -> Routes {
    Routes::of(&SERVICE)
        .post("/api/v1/auth/register", register::register)
        .post("/api/v1/auth/login", login::login)
        .post("/api/v1/auth/logout", logout::logout)
        .post("/api/v1/auth/logout/everywhere", logout::everywhere)
        .post("/api/v1/auth/refresh", refresh::refresh)
        .post("/api/v1/auth/password", password_change::change)
        .post("/api/v1/auth/password/forgot", password_reset::forgot)
        .post("/api/v1/auth/password/reset", password_reset::reset)
        .get("/api/v1/auth/audit", audit::list)
        .post("/api/v1/auth/token", token_endpoint::token)
        .get_with_effects("/api/v1/auth/{provider}/login", provider::start)
        .get_with_effects("/api/v1/auth/{provider}/callback", provider::callback)
        .for_proxies("/api/v1/auth/check", check::check)
        .get("/api/v1/auth/users", admin::list)
        .get("/api/v1/auth/users/{id}", admin::read)
        .post("/api/v1/auth/users/{id}/disable", admin::disable)
        .post("/api/v1/auth/users/{id}/enable", admin::enable)
        .put("/api/v1/auth/users/{id}/role", admin::set_role)
        .get("/.well-known/jwks.json", discovery::jwks)
        .get(
            "/.well-known/openid-configuration",
            discovery::openid_configuration,
        )
        .delete("/internal/auth/users/{id}", deletion::delete)
        .post("/internal/auth/tick", tick::tick)
        .merge(aliases())
        .merge(dead_letters::routes(&SERVICE, &AcksOnly))
        .merge(http::probes(&SERVICE))
}

/// The seeds' spellings. Seed 0 logs out and refreshes by GET; `istio` is seed 1's word for the check.
fn aliases() -> Routes {
    Routes::of(&SERVICE)
        .post("/api/v1/register", register::register)
        .post("/api/v1/users/register", register::register)
        .post("/api/v1/login", login::login)
        .post("/api/v1/users/login", login::login)
        .post("/api/v1/logout", logout::logout)
        .get_with_effects("/api/v1/logout", logout::logout)
        .get_with_effects("/api/v1/auth/logout", logout::logout)
        .get_with_effects("/api/v1/auth/refresh", refresh::refresh)
        .post("/api/v1/auth/logout-all", logout::everywhere)
        .post("/api/v1/auth/token/", token_endpoint::token)
        .for_proxies("/api/v1/auth/istio", check::check)
        .get("/api/v1/.well-known/jwks.json", discovery::jwks)
        .get(
            "/api/v1/.well-known/openid-configuration",
            discovery::openid_configuration,
        )
        .probe("/api/v1/health", discovery::health)
}

/// Nobody asks auth for anything over a channel; the inbox itself takes the acknowledgements.
struct AcksOnly;

impl Handler for AcksOnly {
    async fn handle(&self, _: &Tx, event: &Event) -> Result<Handled, Refusal> {
        Err(Refusal::Poison(format!("{} is not for auth", event.kind)))
    }
}
