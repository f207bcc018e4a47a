//! The running application: its components, and the ways a request reaches them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use tokio::sync::Semaphore;

use crate::component::Component;
use crate::http::headers::{self, Matched};
use crate::http::problem::Problem;
use crate::http::routes::Routes;
use crate::http::server::NO_CLIENT;
use crate::http::{Request, Response};
use crate::limits::REQUESTS_IN_FLIGHT;

/// Spin answers below this prefix itself.
const WELL_KNOWN: &str = "/.well-known/spin/";

/// Everything that serves.
pub(crate) struct App {
    pub components: BTreeMap<Arc<str>, Arc<Component>>,
    pub routes: Routes,
    in_flight: Semaphore,
    /// The address the host listens on, once it does.
    own: OnceLock<SocketAddr>,
}

impl App {
    pub fn new(components: BTreeMap<Arc<str>, Arc<Component>>, routes: Routes) -> Self {
        Self {
            components,
            routes,
            in_flight: Semaphore::new(REQUESTS_IN_FLIGHT),
            own: OnceLock::new(),
        }
    }

    pub fn listens_on(&self, address: SocketAddr) {
        // Set once, by the one who binds.
        let _ = self.own.set(address);
    }

    pub fn own_authority(&self) -> String {
        self.own
            .get()
            .map_or_else(|| "localhost".to_owned(), SocketAddr::to_string)
    }

    /// A request from outside, or from a component to the application as a whole.
    pub async fn route(&self, mut request: Request, client: SocketAddr) -> Response {
        headers::strip(request.headers_mut());
        let Some(uri) = headers::absolute_uri(request.uri(), request.headers()) else {
            return Problem::BadRequest.response();
        };
        if let Some(rest) = uri.path().strip_prefix(WELL_KNOWN) {
            return match rest {
                "health" => http::Response::new(crate::http::body::full("OK")),
                _ => Problem::NoSuchRoute.response(),
            };
        }
        let Some(found) = self.routes.find(uri.path()) else {
            return Problem::NoSuchRoute.response();
        };
        headers::describe(request.headers_mut(), &uri, &Matched::from(&found), client);
        let id = found.route.component.clone();
        *request.uri_mut() = uri;
        self.serve(&id, request)
            .await
            .unwrap_or_else(|| Problem::NoSuchRoute.response())
    }

    /// A request from one component to another, or from the host itself: no route is needed, so this
    /// reaches private components too. `None` when no such component takes requests.
    pub async fn call(&self, id: &str, mut request: Request) -> Option<Response> {
        headers::strip(request.headers_mut());
        let uri = request.uri().clone();
        headers::describe(
            request.headers_mut(),
            &uri,
            &Matched::whole_path(uri.path()),
            NO_CLIENT,
        );
        self.serve(id, request).await
    }

    async fn serve(&self, id: &str, request: Request) -> Option<Response> {
        let pool = self.components.get(id)?.http.as_ref()?;
        let Ok(_permit) = self.in_flight.try_acquire() else {
            tracing::warn!(
                component = id,
                limit = REQUESTS_IN_FLIGHT,
                "too many requests at once"
            );
            return Some(Problem::Overloaded.response());
        };
        Some(pool.serve(request).await.unwrap_or_else(Problem::response))
    }
}
