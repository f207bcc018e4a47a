//! The way of a request through a component: probes, routes, the answers to what has no route, and
//! `ETag` on what is read.

use super::settings::Settings;
use super::{Problem, browser, limit};
use crate::db::Db;
use crate::{Service, config};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body_util::BodyExt;
use spin_sdk::http::Request as SpinRequest;
use std::hash::{DefaultHasher, Hash, Hasher};
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
    let validator = request.headers().get(IF_NONE_MATCH).cloned();
    let is_read = request.method() == Method::GET;
    let routers = ROUTERS.get_or_init(|| Routers::new(routes(), settings));
    let path = request.uri().path();
    let mut parents = for_proxies.iter().chain(&["/internal"]);
    let mut router = match parents.any(|parent| is_at_or_below(path, parent)) {
        true => routers.machines.clone(),
        false => routers.clients.clone(),
    };
    let response = match router.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    // What must not be kept has no use for a validator, and must not become a 304.
    let may_be_kept = response
        .headers()
        .get(CACHE_CONTROL)
        .is_none_or(|value| value != "no-store");
    let mut response = if is_read && may_be_kept && response.status() == StatusCode::OK {
        tagged(response, validator).await
    } else {
        response
    };
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

/// Adds an `ETag`, and answers 304 to a client that has this very answer (RFC 9110 §13.1.2).
async fn tagged(response: Response, validator: Option<HeaderValue>) -> Response {
    let (mut parts, body) = response.into_parts();
    let body = match body.collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) => return Problem::internal(error.to_string()).into_response(),
    };
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    let tag = format!("\"{:016x}\"", hasher.finish());
    // Weak comparison (RFC 9110 §8.8.3.2): a proxy that compresses turns a tag weak.
    let is_ours = |given: &str| {
        let given = given.trim();
        given == "*" || given.trim_start_matches("W/") == tag
    };
    let known = validator
        .and_then(|value| value.to_str().map(str::to_owned).ok())
        .is_some_and(|given| given.split(',').any(is_ours));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        parts.headers.insert(ETAG, tag);
    }
    if known {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(http::header::CONTENT_TYPE);
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(body))
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
