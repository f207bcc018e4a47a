//! Profiles: read, change, delete.

#![allow(
    unsafe_code,
    reason = "the trigger macros generate the component's exports"
)]

mod accounts;
mod deletion;
mod input;
mod profiles;
mod store;

use spin_sdk::http::{IntoResponse, Request};
use spin_sdk::{http_service, redis_subscriber};
use wasmart_service::db::{DbError, Migration, OUTBOX_RATE};
use wasmart_service::http::{self, Routes};
use wasmart_service::operators::OPERATOR_ACTIONS;
use wasmart_service::{Service, dead_letters, inbox};

static SERVICE: Service = Service {
    name: "users",
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
            version: 4,
            sql: include_str!("../migrations/0004_actors.sql"),
        },
        Migration {
            version: 5,
            sql: OPERATOR_ACTIONS,
        },
        Migration {
            version: 6,
            sql: include_str!("../migrations/0006_gone.sql"),
        },
    ],
    commands: &[],
    channels: &["accounts"],
};

#[http_service]
async fn handle(request: Request) -> impl IntoResponse {
    http::serve(routes, request).await
}

#[redis_subscriber]
async fn on_message(message: Vec<u8>) -> Result<(), DbError> {
    inbox::receive(&SERVICE, &message, &accounts::Accounts).await
}

/// `/profiles` is seed 1's spelling.
fn routes() -> Routes {
    Routes::of(&SERVICE)
        .get("/api/v1/users/me", profiles::read_own)
        .patch("/api/v1/users/me", profiles::change_own)
        .delete("/api/v1/users/me", deletion::delete_own)
        .get("/api/v1/users/{id}", profiles::read)
        .put("/api/v1/users/{id}", profiles::replace)
        .patch("/api/v1/users/{id}", profiles::change)
        .delete("/api/v1/users/{id}", deletion::delete)
        .post("/api/v1/profiles", profiles::create)
        .get("/api/v1/profiles/{id}", profiles::read)
        .patch("/api/v1/profiles/{id}", profiles::change)
        .merge(dead_letters::routes(&SERVICE, &accounts::Accounts))
        .merge(http::probes(&SERVICE))
}
