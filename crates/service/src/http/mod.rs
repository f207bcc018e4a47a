//! The HTTP side: from a trigger's request through the component's routes to an answer.

mod browser;
mod client;
mod input;
mod limit;
mod page;
mod patch;
mod problem;
mod serve;
mod settings;

pub use browser::same_site_only;
pub use client::Client;
pub use input::{Id, Input, MAX_BODY, Params, canonical_id, read_body, read_response};
pub use page::{Page, PageQuery, number_and_id};
pub use patch::Patch;
pub use problem::{FieldError, Problem};
pub use serve::{INTERNAL_SECRET, internal_only, probes, serve, serve_beside};
