//! A component that asks its dependency, for the composition tests.

mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "caller", generate_all });
}

use bindings::probe::dep::check;
use spin_sdk::http::{FullBody, Request, Response};
use spin_sdk::http_service;

#[http_service]
async fn handle(request: Request) -> Response<FullBody<bytes::Bytes>> {
    let key = request.uri().query().unwrap_or_default().to_owned();
    let answer = match check::look(key).await {
        Ok(found) => found,
        Err(error) => format!("error: {error}"),
    };
    Response::new(FullBody::new(answer.into()))
}
