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
        match self.admit(&mut request, client) {
            Ok(id) => self.serve(&id, request).await,
            Err(answer) => *answer,
        }
    }

    /// Checks the head of a request and prepares it for a component; returns the component's name,
    /// or an answer.
    pub fn admit<B>(
        &self,
        request: &mut http::Request<B>,
        client: SocketAddr,
    ) -> Result<Arc<str>, Box<Response>> {
        let own = || self.own_authority();
        let uri = headers::absolute_uri(request, own)
            .map_err(|headers::BadHost| Box::new(Problem::BadRequest.response()))?;
        headers::strip(request.headers_mut());
        if let Some(rest) = uri.path().strip_prefix(WELL_KNOWN) {
            return Err(Box::new(match rest {
                "health" => http::Response::new(crate::http::body::full("OK")),
                _ => Problem::NoSuchRoute.response(),
            }));
        }
        let Some(found) = self.routes.find(uri.path()) else {
            return Err(Box::new(Problem::NoSuchRoute.response()));
        };
        headers::describe(request.headers_mut(), &uri, &Matched::from(&found), client);
        let id = found.route.component.clone();
        *request.uri_mut() = uri;
        Ok(id)
    }

    /// A request from one component to another, or from the host itself: no route is needed, so this
    /// reaches private components too. `None` when no such component takes requests.
    pub async fn call(&self, id: &str, mut request: Request) -> Option<Response> {
        self.components.get(id)?.http.as_ref()?;
        headers::strip(request.headers_mut());
        let uri = request.uri().clone();
        headers::describe(
            request.headers_mut(),
            &uri,
            &Matched::whole_path(uri.path()),
            NO_CLIENT,
        );
        Some(self.serve(id, request).await)
    }

    /// The answer of the component, or of the host in its place.
    pub async fn serve(&self, id: &str, request: Request) -> Response {
        let component = self.components.get(id);
        let Some(pool) = component.and_then(|component| component.http.as_ref()) else {
            return Problem::NoSuchRoute.response();
        };
        let Ok(_permit) = self.in_flight.try_acquire() else {
            tracing::warn!(
                component = id,
                limit = REQUESTS_IN_FLIGHT,
                "too many requests at once"
            );
            return Problem::Overloaded.response();
        };
        pool.serve(request).await.unwrap_or_else(Problem::response)
    }
}
