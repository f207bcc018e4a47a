//! The route tables of a shop, as its services list them to holders of the shared secret.

use crate::harness::App;
use crate::harness::books::SERVICES;
use crate::harness::workspace;
use reqwest::RequestBuilder;

/// One line of a service's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// `GET`, or `*` for any.
    pub method: String,
    /// As the service matches it: `/api/v1/orders/{id}`.
    pub path: String,
    /// Whether it promises to change nothing.
    pub safe: bool,
}

impl Route {
    /// Whether it is behind the shared secret.
    pub fn is_internal(&self) -> bool {
        self.path.starts_with("/internal/")
    }
}

/// All lines of all tables.
pub async fn routes(app: &App) -> Vec<Route> {
    let mut routes = vec![];
    for service in SERVICES {
        let nobody = app.anonymous();
        let request = nobody.request("GET", &format!("/internal/{service}/routes"));
        let table = nobody.send(with_secret(request)).await.expect(200);
        for line in table.data() {
            let text = |name: &str| line[name].as_str().expect("a text").to_owned();
            routes.push(Route {
                method: text("method"),
                path: text("path"),
                safe: line["safe"].as_bool().expect("true or false"),
            });
        }
    }
    routes
}

/// The request, with the secret that the host and the services share.
pub fn with_secret(request: RequestBuilder) -> RequestBuilder {
    request.header("x-internal-secret", workspace::keys().internal_secret())
}
