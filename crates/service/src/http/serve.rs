//! The way of a request through a component: probes, routes, the answers to what has no route.

use super::settings::Settings;
use super::{Conditions, Problem, browser, caching, conditional, limit};
use crate::db::Db;
use crate::{Service, config};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use spin_sdk::http::Request as SpinRequest;
use std::sync::OnceLock;
use tower_service::Service as _;

/// The header field in which the host's tick and the services show the secret that they share.
pub const INTERNAL_SECRET: &str = "x-internal-secret";

static ROUTERS: OnceLock<Routers> = OnceLock::new();

/// One for each kind of asker.
struct Routers {
    /// For clients: with CORS, and with a limit to how much they ask.
    clients: Router,
    /// For the host, the other services and proxies.
    machines: Router,
}

/// Answers one request with the component's routes. `routes` is called once per instance.
pub async fn serve(routes: impl FnOnce() -> Router, request: SpinRequest) -> Response {
    serve_beside(&[], routes, request).await
}

/// As [`serve`], where below some paths not the clients ask but a proxy on behalf of all: no preflight is answered
/// there, and nothing counted.
pub async fn serve_beside(
    for_proxies: &[&str],
    routes: impl FnOnce() -> Router,
    request: SpinRequest,
) -> Response {
    let settings = Settings::get().await;
    let request = request.map(Body::new);
    let token_shown = caching::shows_token(request.headers());
    let conditions = Conditions::of(request.headers());
    let is_read = request.method() == Method::GET;
    let routers = ROUTERS.get_or_init(|| Routers::new(routes(), settings));
    let path = request.uri().path();
    let mut parents = for_proxies.iter().chain(&["/internal"]);
    let mut router = match parents.any(|parent| is_at_or_below(path, parent)) {
        true => routers.machines.clone(),
        false => routers.clients.clone(),
    };
    let mut response = match router.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    if is_read {
        response = conditional::tagged(response, conditions).await;
    }
    caching::label(&mut response, token_shown);
    browser::harden(response.headers_mut(), settings);
    response
}

fn is_at_or_below(path: &str, parent: &str) -> bool {
    path.strip_prefix(parent)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Routers {
    fn new(routes: Router, settings: &Settings) -> Routers {
        let machines = routes
            .fallback(no_route)
            .method_not_allowed_fallback(async || {
                Problem::new(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "method-not-allowed",
                    "This path does not answer this method",
                )
            });
        let mut clients = machines.clone();
        if settings.requests_per_minute.is_some() {
            clients = clients.layer(middleware::from_fn(limit::limit));
        }
        // Outside of the limit, so that a page can read why it was refused.
        if let Some(cors) = browser::cors(settings) {
            clients = clients.layer(cors);
        }
        Routers { clients, machines }
    }
}

async fn no_route(request: Request) -> Problem {
    Problem::not_found(&format!("path: {}", request.uri().path()))
}

/// `GET …/health` (the component runs) and `GET …/ready` (its database answers).
pub fn probes(service: &'static Service) -> Router {
    let path = |probe: &str| format!("/api/v1/{}/{probe}", service.name);
    Router::new()
        .route(
            &path("health"),
            get(async || r#"{"status":"ok"}"#.into_json()),
        )
        .route(&path("ready"), get(async move || ready(service).await))
}

async fn ready(service: &Service) -> Result<Response, Problem> {
    let check = async {
        Db::open(service)
            .await?
            .execute("SELECT 1 FROM migrations LIMIT 1", &[])
            .await
    };
    match check.await {
        Ok(()) => Ok(r#"{"status":"ready"}"#.into_json()),
        Err(error) => Err(Problem::unavailable(format!("database not ready: {error}"))),
    }
}

trait IntoJson {
    fn into_json(self) -> Response;
}

impl IntoJson for &'static str {
    fn into_json(self) -> Response {
        ([(http::header::CONTENT_TYPE, "application/json")], self).into_response()
    }
}

/// Refuses (404, as if nothing were there) requests without the secret that the host and the
/// components share: the variable `internal_secret` in the header `x-internal-secret`.
pub async fn internal_only(headers: &HeaderMap) -> Result<(), Problem> {
    let secret = config::optional("internal_secret").await;
    let given = headers
        .get(INTERNAL_SECRET)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    match secret {
        Some(secret) if same(secret.as_bytes(), given) => Ok(()),
        _ => Err(Problem::not_found("path")),
    }
}

/// Compares in a time that depends on the lengths only.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
}
