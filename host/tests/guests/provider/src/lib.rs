//! A dependency that uses the grants of the component it is composed into.

#![allow(unsafe_code, reason = "the generated exports")]

mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "provider", generate_all });
}

use bindings::exports::probe::dep::check::Guest;
use spin_sdk::key_value::Store;
use spin_sdk::variables;

struct Provider;

impl Guest for Provider {
    async fn look(key: String) -> Result<String, String> {
        let store = Store::open("default")
            .await
            .map_err(|error| format!("{error:?}"))?;
        let value = store
            .get(&key)
            .await
            .map_err(|error| format!("{error:?}"))?;
        let value = value.map_or("nothing".into(), |value| {
            String::from_utf8_lossy(&value).into_owned()
        });
        let greeting = variables::get("greeting")
            .await
            .map_err(|error| format!("{error:?}"))?;
        Ok(format!("{greeting} {value}"))
    }
}

bindings::export!(Provider with_types_in bindings);
