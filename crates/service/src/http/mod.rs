//! The HTTP side: from a trigger's request through the component's routes to an answer.

mod input;
mod page;
mod problem;
mod serve;

pub use input::{Id, Input, MAX_BODY, Params, canonical_id, read_body, read_response};
pub use page::{Page, PageQuery};
pub use problem::{FieldError, Problem};
pub use serve::{INTERNAL_SECRET, internal_only, probes, serve};
