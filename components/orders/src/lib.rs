//! Orders and the saga that settles them.
//!
//! Where a new step goes: its row, state and transitions in `crates/domain/src/saga.rs`; its payload
//! in `wit/saga/messages.wit`; what it sends in [`command`]; what answers it in [`answers`].

#![allow(
    unsafe_code,
    reason = "the trigger macros generate the component's exports"
)]

mod answers;
mod catalogue;
mod command;
mod execute;
mod gone;
mod history;
mod orders;
mod quotas;
mod runner;
#[cfg(feature = "sabotage")]
mod sabotage;
mod sagas;
mod store;
mod view;

use spin_sdk::http::{IntoResponse, Request};
use spin_sdk::{http_service, redis_subscriber};
use wasmart_service::db::{DbError, Migration, OUTBOX_RATE};
use wasmart_service::http::{self, Routes};
use wasmart_service::operators::OPERATOR_ACTIONS;
use wasmart_service::{Service, dead_letters, inbox};

static SERVICE: Service = Service {
    name: "orders",
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
            sql: include_str!("../migrations/0003_unsettled.sql"),
        },
        Migration {
            version: 4,
            sql: include_str!("../migrations/0004_gone.sql"),
        },
        Migration {
            version: 5,
            sql: include_str!("../migrations/0005_actors.sql"),
        },
        Migration {
            version: 6,
            sql: OPERATOR_ACTIONS,
        },
        Migration {
            version: 7,
            sql: include_str!("../migrations/0007_gone.sql"),
        },
    ],
    commands: &[command::STOCK, command::PAYMENTS],
    channels: &[
        "stock_changes_status",
        "payments_status",
        "accounts",
        "acks",
    ],
};

#[http_service]
async fn handle(request: Request) -> impl IntoResponse {
    http::serve(routes, request).await
}

#[redis_subscriber]
async fn on_message(message: Vec<u8>) -> Result<(), DbError> {
    inbox::receive(&SERVICE, &message, &answers::Orchestrator).await?;
    runner::turn_overdue_now_and_then().await;
    Ok(())
}

fn routes() -> Routes {
    Routes::of(&SERVICE)
        .get("/api/v1/orders", orders::list)
        .post("/api/v1/orders", orders::create)
        .get("/api/v1/orders/{id}", orders::read)
        .patch("/api/v1/orders/{id}", orders::change)
        .post("/api/v1/orders/{id}/execute", execute::execute)
        .get("/api/v1/orders/{id}/events", orders::events)
        .post("/internal/orders/tick", execute::tick)
        .merge(operator_routes("/api/v1/sagas"))
        .merge(operator_routes("/internal/orders/sagas"))
        .merge(dead_letters::routes(&SERVICE, &answers::Orchestrator))
        .merge(http::probes(&SERVICE))
}

fn operator_routes(base: &str) -> Routes {
    Routes::of(&SERVICE)
        .get(base, sagas::list)
        .get(&format!("{base}/{{id}}"), sagas::show)
        .post(&format!("{base}/{{id}}/redrive"), sagas::redrive)
        .post(&format!("{base}/{{id}}/compensate"), sagas::compensate)
}
