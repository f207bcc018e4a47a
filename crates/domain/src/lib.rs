//! The shop's rules: money, the ledger, stock levels, the order's states and the saga.
//!
//! Nothing here knows Spin, SQL, Redis, a clock or randomness: times and ids are passed in, and a
//! decision is a function from what is to what shall be. That is why all of it runs under
//! `cargo test -p wasmart-domain`.

pub mod account;
pub mod ledger;
pub mod money;
pub mod order;
pub mod saga;
pub mod stock;

pub use wasmart_text as text;
