//! Variables of the component (`[component.X.variables]` in `spin.toml`).

use crate::http::Problem;
use spin_sdk::variables::{self, Error};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// The value of a variable.
///
/// # Errors
/// When the manifest does not grant it or no provider has a value: a fault of the installation.
pub async fn get(name: &str) -> Result<String, Error> {
    variables::get(name).await
}

/// As [`get`], for a handler: 503, and the fault on the log.
pub async fn required(name: &str) -> Result<String, Problem> {
    get(name)
        .await
        .map_err(|error| Problem::misconfigured(format!("variable {name}: {error}")))
}

/// The value of a variable, or none when it is absent or empty.
pub async fn optional(name: &str) -> Option<String> {
    variables::get(name)
        .await
        .ok()
        .filter(|value| !value.is_empty())
}

/// A limit that operators may change: the variable's value, or `default` if it has none. `None` if
/// the variable is 0, which means no limit. Read once in the life of an instance, because every
/// request that writes checks limits.
pub async fn bound(name: &'static str, default: i64) -> Option<i64> {
    static KNOWN: Mutex<BTreeMap<&str, i64>> = Mutex::new(BTreeMap::new());
    let known = KNOWN.lock().ok().and_then(|known| known.get(name).copied());
    let bound = match known {
        Some(bound) => bound,
        None => {
            let value = optional(name).await.and_then(|value| value.parse().ok());
            let bound = value.unwrap_or(default);
            if let Ok(mut known) = KNOWN.lock() {
                known.insert(name, bound);
            }
            bound
        }
    };
    Some(bound).filter(|bound| *bound > 0)
}
