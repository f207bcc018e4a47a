//! What the shop tells its users.

#![allow(
    unsafe_code,
    reason = "the trigger macros generate the component's exports"
)]

mod list;
mod mails;
mod messages;
mod store;
mod text;

use spin_sdk::http::{IntoResponse, Request};
use spin_sdk::{http_service, redis_subscriber};
use wasmart_service::db::{DbError, Migration, OUTBOX_RATE};
use wasmart_service::http::{self, Routes};
use wasmart_service::operators::OPERATOR_ACTIONS;
use wasmart_service::{Service, dead_letters, inbox};

static SERVICE: Service = Service {
    name: "notifications",
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
            sql: include_str!("../migrations/0003_mails.sql"),
        },
        Migration {
            version: 4,
            sql: include_str!("../migrations/0004_gone.sql"),
        },
        Migration {
            version: 5,
            sql: OPERATOR_ACTIONS,
        },
    ],
    commands: &[],
    channels: &["notifications", "accounts"],
};

#[http_service]
async fn handle(request: Request) -> impl IntoResponse {
    http::serve(routes, request).await
}

#[redis_subscriber]
async fn on_message(message: Vec<u8>) -> Result<(), DbError> {
    inbox::receive(&SERVICE, &message, &messages::Notices).await
}

fn routes() -> Routes {
    Routes::of(&SERVICE)
        .get("/api/v1/notifications", list::list)
        .post("/api/v1/notifications/{id}/read", list::read)
        .get("/internal/notifications/mails", mails::list)
        .get("/internal/notifications/mails/{id}", mails::show)
        .post("/internal/notifications/tick", mails::tick)
        .merge(dead_letters::routes(&SERVICE, &messages::Notices))
        .merge(http::probes(&SERVICE))
}
