//! Requests that a component sends: to another component of the application, in process, or to the network.
//! Only where its grants lead.

use std::sync::{Arc, Weak};

use http::Uri;
use http::header::HOST;
use http_body_util::BodyExt;
use wasmtime_wasi_http::{Error, RequestOptions, WasiHttpHooks, default_send_request};

use super::{Request, Response};
use crate::allowed_hosts::INTERNAL_SUFFIX;
use crate::app::App;
use crate::calls::Calls;
use crate::grants::Grants;
use crate::limits::ANSWER_PART_BYTES;

/// The outgoing side of one instance.
pub(crate) struct Outbound {
    grants: Arc<Grants>,
    calls: Calls,
    app: Weak<App>,
}

type Driver = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Result<(Response, Driver), Error>;

impl Outbound {
    pub fn new(grants: Arc<Grants>, calls: Calls, app: Weak<App>) -> Self {
        Self { grants, calls, app }
    }
}

impl WasiHttpHooks for Outbound {
    /// Also for answers: smaller than the default of 1 MiB, which the host would hold for each
    /// answer.
    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
        ANSWER_PART_BYTES
    }

    fn send_request(
        &mut self,
        request: Request,
        options: Option<RequestOptions>,
        // How the guest fared with the response; nobody on this side wants to know.
        _consumed: Driver,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let (grants, calls, app) = (self.grants.clone(), self.calls.clone(), self.app.clone());
        Box::new(async move {
            let call = calls.pass("http.send", send(&grants, &app, request, options));
            match call.await {
                Ok(sent) => sent,
                Err(_) => {
                    // A hook stops the component. No trap is possible from here, so whoever runs the
                    // instance ends it, and until then the guest hears nothing.
                    calls.kill();
                    std::future::pending().await
                }
            }
        })
    }
}

async fn send(
    grants: &Grants,
    app: &Weak<App>,
    mut request: Request,
    options: Option<RequestOptions>,
) -> Sent {
    let target = target(request.uri());
    let allowed = match target {
        Target::Own => grants.hosts.allows_own(),
        Target::Component(_) | Target::Network => {
            grants.hosts.allows(&request.uri().to_string(), "https")
        }
    };
    if !allowed {
        tracing::warn!(
            component = &*grants.component,
            host = request.uri().authority().map(http::uri::Authority::as_str),
            "refused: not in allowed_outbound_hosts"
        );
        return Err(Error::HttpRequestDenied);
    }
    match target {
        Target::Network => {
            let (response, driver) = default_send_request(request, options).await?;
            Ok((response.map(BodyExt::boxed_unsync), Box::new(driver)))
        }
        Target::Component(id) => {
            request.headers_mut().remove(HOST);
            let app = app.upgrade().ok_or(Error::DestinationUnavailable)?;
            let response = app
                .call(&id, request)
                .await
                .ok_or(Error::DestinationNotFound)?;
            Ok((response, Box::new(async { Ok(()) })))
        }
        Target::Own => {
            request.headers_mut().remove(HOST);
            let app = app.upgrade().ok_or(Error::DestinationUnavailable)?;
            let path = request
                .uri()
                .path_and_query()
                .map_or("/", |path| path.as_str());
            let uri = format!("http://{}{path}", app.own_authority());
            *request.uri_mut() = uri.parse().map_err(|_| Error::HttpRequestUriInvalid)?;
            let response = app.route(request, super::server::NO_CLIENT).await;
            Ok((response, Box::new(async { Ok(()) })))
        }
    }
}

enum Target {
    /// This application, through its routes.
    Own,
    /// `component.spin.internal`.
    Component(String),
    Network,
}

fn target(uri: &Uri) -> Target {
    match uri.host() {
        None | Some("" | "self.alt") => Target::Own,
        Some(host) => match host.strip_suffix(INTERNAL_SUFFIX) {
            Some(component) => Target::Component(component.to_owned()),
            None => Target::Network,
        },
    }
}
