//! Items, what is on hand, reserved and sold; the reserving side of the saga.

#![allow(
    unsafe_code,
    reason = "the trigger macros generate the component's exports"
)]

mod changes;
mod items;
mod saga;
mod store;
mod view;

use spin_sdk::http::{IntoResponse, Request};
use spin_sdk::{http_service, redis_subscriber};
use wasmart_service::db::{DbError, Migration, OUTBOX_RATE};
use wasmart_service::http::{self, Routes};
use wasmart_service::operators::OPERATOR_ACTIONS;
use wasmart_service::{Service, dead_letters, inbox};

static SERVICE: Service = Service {
    name: "stock",
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
            sql: include_str!("../migrations/0003_actors.sql"),
        },
        Migration {
            version: 4,
            sql: include_str!("../migrations/0004_folded_name.sql"),
        },
        Migration {
            version: 5,
            sql: OPERATOR_ACTIONS,
        },
    ],
    commands: &[],
    channels: &["stock_changes"],
};

#[http_service]
async fn handle(request: Request) -> impl IntoResponse {
    http::serve(routes, request).await
}

#[redis_subscriber]
async fn on_message(message: Vec<u8>) -> Result<(), DbError> {
    inbox::receive(&SERVICE, &message, &saga::Participant).await
}

fn routes() -> Routes {
    Routes::of(&SERVICE)
        .get("/api/v1/items", items::list)
        .post("/api/v1/items", items::create)
        .get("/api/v1/items/{id}", items::read)
        .patch("/api/v1/items/{id}", items::change)
        .post("/api/v1/items/{id}/adjustments", items::adjust)
        .get("/api/v1/items/{id}/movements", items::movements)
        .get("/api/v1/items/{id}/changes", items::changes)
        .get("/internal/stock/items", items::known)
        .post("/internal/stock/tick", items::tick)
        .merge(dead_letters::routes(&SERVICE, &saga::Participant))
        .merge(http::probes(&SERVICE))
}
