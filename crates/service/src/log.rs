//! The log: one line for each thing that happened.

use std::io::Write;

/// Writes a line to standard error, where every host looks for it; use the macro [`log!`](crate::log!). Line breaks,
/// terminal sequences and the like are escaped, and what is too long is cut.
pub fn write(text: &str) {
    let line = format!("{}\n", wasmart_printable::one_line(text));
    // In one piece, because other instances write too. A log that can't be written is no reason to
    // fail.
    let _ = std::io::stderr().write_all(line.as_bytes());
}
