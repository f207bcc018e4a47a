//! Text that people type: what each field takes and refuses, one spelling for each account, searches in any script.

mod doors;
mod fields;
mod inputs;
mod paths;
mod search;
mod spellings;
