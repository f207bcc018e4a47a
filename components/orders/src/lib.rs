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
mod orders;
mod runner;
#[cfg(feature = "sabotage")]
mod sabotage;
mod sagas;
mod store;
mod view;

use axum::Router;
use axum::routing::{get, post};
use spin_sdk::http::{IntoResponse, Request};
use spin_sdk::{http_service, redis_subscriber};
use wasmart_service::db::{DbError, Migration, OUTBOX_RATE};
use wasmart_service::{Service, dead_letters, http, inbox};

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
            version: 7,
            sql: include_str!("../migrations/0007_gone.sql"),
        },
    ],
    commands: &[command::STOCK, command::PAYMENTS],
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

fn routes() -> Router {
    Router::new()
        .route("/api/v1/orders", get(orders::list).post(orders::create))
        .route(
            "/api/v1/orders/{id}",
            get(orders::read).patch(orders::change),
        )
        .route("/api/v1/orders/{id}/execute", post(execute::execute))
        .route("/api/v1/orders/{id}/events", get(orders::events))
        .route("/internal/orders/tick", post(execute::tick))
        .merge(operator_routes("/api/v1/sagas"))
        .merge(operator_routes("/internal/orders/sagas"))
        .merge(dead_letters::routes(&SERVICE, &answers::Orchestrator))
        .merge(http::probes(&SERVICE))
}

fn operator_routes(base: &str) -> Router {
    Router::new()
        .route(base, get(sagas::list))
        .route(&format!("{base}/{{id}}"), get(sagas::show))
        .route(&format!("{base}/{{id}}/redrive"), post(sagas::redrive))
        .route(
            &format!("{base}/{{id}}/compensate"),
            post(sagas::compensate),
        )
}
