//! The path of a request through a component: probes, routes, and the answers to requests without a
//! route.

use super::routes::{Found, INTERNAL, Routes, Table, is_at_or_below};
use super::settings::Settings;
use super::{Conditions, Problem, browser, caching, conditional, limit};
use crate::db::Db;
use crate::{Service, config};
use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use spin_sdk::http::Request as SpinRequest;
use std::sync::{Arc, OnceLock};
use tower_service::Service as _;

/// The header field in which the host's tick and the services show the secret that they share.
pub const INTERNAL_SECRET: &str = "x-internal-secret";
/// The fields in which browsers say that they prefetch a link.
const PREFETCH: [&str; 2] = ["sec-purpose", "purpose"];

static ROUTERS: OnceLock<Routers> = OnceLock::new();

/// One for each kind of asker.
struct Routers {
    /// The router for clients, with CORS and the rate limit. It has no internal routes.
    clients: Router,
    /// For the host, the other services and proxies.
    machines: Router,
    /// Paths at and below which proxies ask.
    for_proxies: Vec<String>,
}

/// Marks a `HEAD` that is answered as the `GET` of its path.
#[derive(Clone, Copy)]
struct IsHead;

/// Answers one request with the component's routes. `routes` is called once per instance.
pub async fn serve(routes: impl FnOnce() -> Routes, request: SpinRequest) -> Response {
    let settings = Settings::get().await;
    let mut request = request.map(Body::new);
    let is_head = request.method() == Method::HEAD;
    if is_head {
        // The same handlers, validators and limits; only the body is left out at the end.
        *request.method_mut() = Method::GET;
        request.extensions_mut().insert(IsHead);
    }
    let token_shown = caching::shows_token(request.headers());
    let conditions = Conditions::of(request.headers());
    let is_read = request.method() == Method::GET;
    let routers = ROUTERS.get_or_init(|| Routers::new(routes(), settings));
    let router = routers.choose(request.uri().path(), request.headers());
    let mut router = router.await.clone();
    let mut response = match router.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    if is_read {
        response = conditional::tagged(response, conditions).await;
    }
    caching::label(&mut response, token_shown);
    browser::harden(response.headers_mut(), settings);
    match is_head {
        true => without_body(response),
        false => response,
    }
}

impl Routers {
    fn new(routes: Routes, settings: &Settings) -> Routers {
        let (public, internal, table) = routes.finish();
        let table = Arc::new(table);
        let check = middleware::from_fn_with_state(table.clone(), check_method);
        let finished = |router: Router| router.fallback(no_route).layer(check.clone());
        let machines = finished(public.clone().merge(internal));
        let mut clients = finished(public);
        if settings.requests_per_minute.is_some() {
            let limit = middleware::from_fn_with_state(table.clone(), limit::limit);
            clients = clients.layer(limit);
        }
        // Outside of the limit, so that a page can read why it was refused.
        if let Some(cors) = browser::cors(settings) {
            clients = clients.layer(cors);
            let limit = middleware::from_fn_with_state(table.clone(), limit::limit_options);
            clients = clients.layer(limit);
        }
        Routers {
            clients,
            machines,
            for_proxies: table.for_proxies(),
        }
    }

    /// Without the shared secret a request meets a router that has no internal routes. So no
    /// method, path or body tells internal routes from paths that do not exist.
    async fn choose(&self, path: &str, headers: &HeaderMap) -> &Router {
        let is_below = |parent: &String| is_at_or_below(path, parent);
        let is_machine = self.for_proxies.iter().any(is_below)
            || (is_at_or_below(path, INTERNAL) && has_secret(headers).await);
        if is_machine {
            &self.machines
        } else {
            &self.clients
        }
    }
}

async fn no_route() -> Problem {
    Problem::not_found("path")
}

/// Refuses requests without a route in the table, and prefetches of a GET with effects.
async fn check_method(
    State(table): State<Arc<Table>>,
    path: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let is_head = request.extensions().get::<IsHead>().is_some();
    let path = path.as_ref().map_or("", MatchedPath::as_str);
    match table.find(&request) {
        Found::OtherMethods => not_allowed(&table, path),
        Found::Route(route) if !route.is_safe() && is_head => not_allowed(&table, path),
        Found::Route(route) if !route.is_safe() && is_prefetch(&request) => Problem::new(
            StatusCode::FORBIDDEN,
            "prefetch-refused",
            "This path has effects; it is not for prefetching",
        )
        .into_response(),
        Found::Route(_) | Found::Nothing => next.run(request).await,
    }
}

fn not_allowed(table: &Table, path: &str) -> Response {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "This path does not support this method",
    )
    .allow(&table.allowed(path))
    .into_response()
}

/// `Sec-Purpose: prefetch`, perhaps with a parameter (Fetch standard), and what older browsers send.
fn is_prefetch(request: &Request) -> bool {
    let said = PREFETCH
        .iter()
        .filter_map(|name| request.headers().get(*name));
    request.method() == Method::GET
        && said
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.starts_with("prefetch"))
}

/// The answer to a `HEAD`: what the `GET` would have given, its length included, but for the body (RFC 9110 §9.3.2).
fn without_body(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    // A 304 may leave its length out, but must not name another one.
    let is_whole = parts.status != StatusCode::NOT_MODIFIED;
    if let Some(length) = body.size_hint().exact().filter(|_| is_whole) {
        let length = HeaderValue::from(length);
        parts.headers.entry(CONTENT_LENGTH).or_insert(length);
    }
    Response::from_parts(parts, Body::empty())
}

/// `GET …/health` (the component runs) and `GET …/ready` (its database answers).
pub fn probes(service: &'static Service) -> Routes {
    let path = |probe: &str| format!("/api/v1/{}/{probe}", service.name);
    Routes::of(service)
        .probe(&path("health"), async || r#"{"status":"ok"}"#.into_json())
        .probe(&path("ready"), async move || ready(service).await)
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

/// Whether a request shows the secret that the host and the components share: the variable
/// `internal_secret` in the header `x-internal-secret`.
async fn has_secret(headers: &HeaderMap) -> bool {
    let secret = config::optional("internal_secret").await;
    let given = headers.get(INTERNAL_SECRET).map(HeaderValue::as_bytes);
    secret
        .zip(given)
        .is_some_and(|(secret, given)| same(secret.as_bytes(), given))
}

/// Compares in a time that depends on the lengths only.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
}
