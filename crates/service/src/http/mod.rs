//! The HTTP side: from a trigger's request through the component's routes to an answer.

mod browser;
mod caching;
mod client;
mod conditional;
mod input;
mod limit;
mod origin;
mod page;
mod params;
mod patch;
mod problem;
mod routes;
mod serve;
mod settings;

pub use browser::same_site_only;
pub use caching::Public;
pub use client::Client;
pub(crate) use conditional::etag;
pub use conditional::{Conditions, Tagged};
pub use input::{Input, MAX_BODY, OptionalInput, media_type, read_body, read_response};
pub use page::{Page, PageQuery, number_and_id};
pub use params::{Id, Name, Params, canonical_id};
pub use patch::Patch;
pub use problem::{FieldError, Problem};
pub use routes::{Route, Routes};
pub use serve::{INTERNAL_SECRET, probes, serve};
