//! The route table of a component: which method of which path each handler answers.
//!
//! A [`Routes`] builds the axum router and, beside it, a list of what is in it. The list decides
//! what a method may do (`HEAD`, prefetching), which route a request counts for in the rate limit,
//! and what a 405 names in `Allow`. Holders of the shared secret can read it at `GET
//! /internal/{service}/routes`.
//!
//! ```ignore
//! fn routes() -> Routes {
//!     Routes::of(&SERVICE)
//!         .get("/api/v1/orders", orders::list)
//!         .post("/api/v1/orders", orders::create)
//!         .get("/api/v1/orders/{id}", orders::read)
//!         .post("/internal/orders/tick", execute::tick)
//! }
//! ```
//!
//! Paths below `/internal` form a separate router. Only requests with the shared secret reach it;
//! for all others these routes do not exist ([`super::serve()`]). So a handler below `/internal`
//! need not check anything.

use super::Page;
use crate::Service;
use axum::extract::{MatchedPath, Request};
use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, any, on};
use axum::{Json, Router};
use http::Method;
use serde::Serialize;

/// Paths at or below this one are for the host and the other services.
pub(super) const INTERNAL: &str = "/internal";
/// The method of a route that answers all of them.
const ANY: &str = "*";

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Route {
    /// `GET`, or `*` for any method.
    method: &'static str,
    /// The path as axum matches it: `/api/v1/orders/{id}`.
    path: String,
    /// Whether a client may ask without changing anything. Such a GET also answers `HEAD`.
    safe: bool,
    /// Whether requests count towards the rate limit.
    counted: bool,
}

/// The routes of a component, or a part of them.
pub struct Routes {
    service: &'static Service,
    public: Router,
    internal: Router,
    list: Vec<Route>,
}

impl Routes {
    /// An empty table.
    pub fn of(service: &'static Service) -> Routes {
        Routes {
            service,
            public: Router::new(),
            internal: Router::new(),
            list: vec![],
        }
    }

    /// A GET that changes nothing. It also answers `HEAD`.
    pub fn get<H: Handler<T, ()>, T: 'static>(self, path: &str, handler: H) -> Routes {
        self.add("GET", path, on(MethodFilter::GET, handler), |route| {
            route.safe = true;
        })
    }

    /// A GET that changes something, because an outside specification requires it. It answers no
    /// `HEAD`, and refuses browsers that only prefetch a link.
    pub fn get_with_effects<H: Handler<T, ()>, T: 'static>(self, path: &str, handler: H) -> Routes {
        self.add("GET", path, on(MethodFilter::GET, handler), |_| {})
    }

    /// A GET that tells whether the component works. It never counts towards the rate limit: it
    /// must not fail because somebody sends too many requests.
    pub fn probe<H: Handler<T, ()>, T: 'static>(self, path: &str, handler: H) -> Routes {
        self.add("GET", path, on(MethodFilter::GET, handler), |route| {
            (route.safe, route.counted) = (true, false);
        })
    }

    /// A POST.
    pub fn post<H: Handler<T, ()>, T: 'static>(self, path: &str, handler: H) -> Routes {
        self.add("POST", path, on(MethodFilter::POST, handler), |_| {})
    }

    /// A PUT.
    pub fn put<H: Handler<T, ()>, T: 'static>(self, path: &str, handler: H) -> Routes {
        self.add("PUT", path, on(MethodFilter::PUT, handler), |_| {})
    }

    /// A PATCH.
    pub fn patch<H: Handler<T, ()>, T: 'static>(self, path: &str, handler: H) -> Routes {
        self.add("PATCH", path, on(MethodFilter::PATCH, handler), |_| {})
    }

    /// A DELETE.
    pub fn delete<H: Handler<T, ()>, T: 'static>(self, path: &str, handler: H) -> Routes {
        self.add("DELETE", path, on(MethodFilter::DELETE, handler), |_| {})
    }

    /// Any method, at this path and everywhere below it, for a proxy that asks on behalf of its clients. The
    /// handler changes nothing. Such requests do not count, since they all come from the proxy's address.
    pub fn for_proxies<H: Handler<T, ()>, T: 'static>(mut self, path: &str, handler: H) -> Routes {
        for below in ["", "/", "/{*path}"] {
            let path = format!("{path}{below}");
            self = self.add(ANY, &path, any(handler.clone()), |route| {
                (route.safe, route.counted) = (true, false);
            });
        }
        self
    }

    /// This table, and another of the same component.
    pub fn merge(mut self, other: Routes) -> Routes {
        self.public = self.public.merge(other.public);
        self.internal = self.internal.merge(other.internal);
        self.list.extend(other.list);
        self
    }

    fn add(
        mut self,
        method: &'static str,
        path: &str,
        handler: MethodRouter,
        set: impl FnOnce(&mut Route),
    ) -> Routes {
        let is_internal = is_at_or_below(path, INTERNAL);
        let mut route = Route {
            method,
            path: path.to_owned(),
            safe: false,
            counted: !is_internal,
        };
        set(&mut route);
        self.list.push(route);
        if is_internal {
            self.internal = self.internal.route(path, handler);
        } else {
            self.public = self.public.route(path, handler);
        }
        self
    }

    /// The two routers, public and internal, and the table of both. Adds the route that shows the table.
    pub(super) fn finish(self) -> (Router, Router, Table) {
        let path = format!("{INTERNAL}/{}/routes", self.service.name);
        // The handler is needed before the list is complete; this entry is the last one.
        let mut listed = self.list.clone();
        listed.push(Route {
            method: "GET",
            path: path.clone(),
            safe: true,
            counted: false,
        });
        let routes = self.get(&path, async move || Json(Page::whole(listed.clone())));
        (routes.public, routes.internal, Table(routes.list))
    }
}

/// All routes of a component, to look requests up in.
pub(super) struct Table(Vec<Route>);

/// What the table says of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// This route answers it.
    Route(&'a Route),
    /// The path has routes, but none for this method.
    OtherMethods,
    /// No route has this path.
    Nothing,
}

impl Table {
    /// The route that answers a request which axum has matched to a path.
    pub fn find(&self, request: &Request) -> Found<'_> {
        match request.extensions().get::<MatchedPath>() {
            Some(path) => self.look_up(request.method(), path.as_str()),
            None => Found::Nothing,
        }
    }

    fn look_up(&self, method: &Method, path: &str) -> Found<'_> {
        let mut found = Found::Nothing;
        for route in self.at(path) {
            if route.method == ANY || route.method == method.as_str() {
                return Found::Route(route);
            }
            found = Found::OtherMethods;
        }
        found
    }

    /// The methods that a path answers, as `Allow` names them (RFC 9110 §10.2.1).
    pub fn allowed(&self, path: &str) -> String {
        let mut methods = vec![];
        for route in self.at(path) {
            methods.push(route.method);
            if route.method == "GET" && route.safe {
                methods.push("HEAD");
            }
        }
        methods.join(", ")
    }

    /// Paths at and below which proxies ask.
    pub fn for_proxies(&self) -> Vec<String> {
        let routes = self.0.iter().filter(|route| route.method == ANY);
        let paths = routes.map(|route| route.path.as_str());
        paths
            .filter(|path| !path.ends_with(['/', '}']))
            .map(str::to_owned)
            .collect()
    }

    fn at<'t>(&'t self, path: &str) -> impl Iterator<Item = &'t Route> {
        self.0.iter().filter(move |route| route.path == path)
    }
}

impl Route {
    /// Whether it changes nothing.
    pub fn is_safe(&self) -> bool {
        self.safe
    }

    /// What requests to it are counted as; nothing where they do not count.
    pub fn counted_as(&self) -> Option<String> {
        self.counted
            .then(|| format!("{} {}", self.method, self.path))
    }
}

pub(super) fn is_at_or_below(path: &str, parent: &str) -> bool {
    path.strip_prefix(parent)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    static SERVICE: Service = Service {
        name: "tea",
        migrations: &[],
        commands: &[],
        channels: &[],
    };

    fn table() -> Table {
        let routes = Routes::of(&SERVICE)
            .get("/cups", async || "")
            .post("/cups", async || "")
            .get_with_effects("/pour", async || "")
            .merge(Routes::of(&SERVICE).probe("/health", async || ""))
            .for_proxies("/check", async || "")
            .post("/internal/tea/tick", async || "");
        routes.finish().2
    }

    fn found(table: &Table, method: &str, path: &str) -> Option<String> {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        match table.look_up(&method, path) {
            Found::Route(route) => Some(format!("{} {}", route.method, route.path)),
            _ => None,
        }
    }

    #[test]
    fn a_method_of_a_path_is_found_as_it_was_added() {
        let table = table();
        for (method, path, expected) in [
            ("GET", "/cups", Some("GET /cups")),
            ("POST", "/cups", Some("POST /cups")),
            ("DELETE", "/cups", None),
            ("BREW", "/cups", None),
            ("BREW", "/check/{*path}", Some("* /check/{*path}")),
            (
                "GET",
                "/internal/tea/routes",
                Some("GET /internal/tea/routes"),
            ),
        ] {
            let found = found(&table, method, path);
            assert_eq!(found.as_deref(), expected, "{method} {path}");
        }
    }

    #[test]
    fn only_a_get_without_effects_allows_head() {
        let table = table();
        assert_eq!(table.allowed("/cups"), "GET, HEAD, POST");
        assert_eq!(table.allowed("/pour"), "GET");
        assert_eq!(table.for_proxies(), ["/check"]);
    }

    #[test]
    fn probes_proxies_and_internal_routes_do_not_count() {
        let counted: Vec<_> = table().0.iter().filter_map(Route::counted_as).collect();
        assert_eq!(counted, ["GET /cups", "POST /cups", "GET /pour"]);
    }

    #[test]
    fn a_path_is_below_another_only_at_a_slash() {
        for (path, expected) in [
            ("/internal", true),
            ("/internal/", true),
            ("/internal/tea/tick", true),
            ("/internals", false),
            ("/api/internal", false),
            ("/", false),
        ] {
            assert_eq!(is_at_or_below(path, INTERNAL), expected, "{path}");
        }
    }
}
