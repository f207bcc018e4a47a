//! What components may import, and which grant stands behind each import.

use crate::manifest::{Component, Inherit};

/// The interfaces of WASI 0.2 that the host offers, in any patch version: what Rust's standard library
/// asks for.
const WASI_0_2: [&str; 6] = [
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
];

/// The interfaces of WASI 0.3 that the host offers.
const WASI_0_3: [&str; 7] = [
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:http/client",
    "wasi:http/types",
    "wasi:random/",
    "wasi:sockets/",
];

const SPIN: [&str; 4] = [
    "spin:key-value/key-value@3.0.0",
    "spin:redis/redis@3.0.0",
    "spin:sqlite/sqlite@3.1.0",
    "spin:variables/variables@3.0.0",
];

/// Whether the host offers the interface.
pub(crate) fn offered(import: &str) -> bool {
    let Some((interface, version)) = import.split_once('@') else {
        return false;
    };
    let starts = |known: &[&str]| known.iter().any(|prefix| interface.starts_with(prefix));
    SPIN.contains(&import)
        || (version.starts_with("0.2.") && starts(&WASI_0_2))
        || (version == "0.3.0" && starts(&WASI_0_3))
}

/// The grant that an import of a dependency uses without inheriting it.
pub(crate) fn not_inherited(
    import: &str,
    inherit: &Inherit,
    component: &Component,
) -> Option<&'static str> {
    let interface = import.split('@').next().unwrap_or(import);
    let grant = match interface {
        "spin:key-value/key-value" => "key_value_stores",
        "spin:sqlite/sqlite" => "sqlite_databases",
        "spin:variables/variables" => "variables",
        "spin:redis/redis" | "wasi:http/client" => "allowed_outbound_hosts",
        // Every Rust program imports it; it matters only when there is something in it.
        "wasi:cli/environment" if !component.environment.is_empty() => "environment",
        // Sockets and folders lead nowhere on this host.
        _ => return None,
    };
    match inherit {
        Inherit::All => None,
        Inherit::Only(names) => (!names.iter().any(|name| name == grant)).then_some(grant),
    }
}

/// Whether a dependency's name in the manifest means this import: `package/interface@version`, where
/// interface and version may be left out, or the same plain name.
pub(crate) fn matches(dependency: &str, import: &str) -> bool {
    let (wanted, wanted_version) = split_version(dependency);
    let (name, version) = split_version(import);
    if wanted_version.is_some() && wanted_version != version {
        return false;
    }
    name == wanted
        || name
            .strip_prefix(wanted)
            .is_some_and(|rest| rest.starts_with('/'))
}

fn split_version(name: &str) -> (&str, Option<&str>) {
    match name.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (name, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependency_names_match_as_in_spin() {
        let import = "wasmart:auth/guard@0.1.0";
        for name in [
            "wasmart:auth/guard@0.1.0",
            "wasmart:auth/guard",
            "wasmart:auth",
            "wasmart:auth@0.1.0",
        ] {
            assert!(matches(name, import), "{name}");
        }
        for name in [
            "wasmart:auth/guard@0.2.0",
            "wasmart:auth/guar",
            "wasmart:aut",
            "guard",
        ] {
            assert!(!matches(name, import), "{name}");
        }
        assert!(matches("guard", "guard"));
    }

    #[test]
    fn only_known_interfaces_are_offered() {
        for import in [
            "wasi:io/poll@0.2.9",
            "wasi:http/types@0.3.0",
            "spin:sqlite/sqlite@3.1.0",
        ] {
            assert!(offered(import), "{import}");
        }
        for import in [
            "wasi:http/outgoing-handler@0.2.6",
            "wasi:io/poll@0.3.0",
            "fermyon:spin/llm@2.0.0",
            "spin:sqlite/sqlite@9.0.0",
            "plain",
        ] {
            assert!(!offered(import), "{import}");
        }
    }

    #[test]
    fn an_import_needs_its_grant() {
        let none = Inherit::Only(Vec::new());
        let store = "spin:key-value/key-value@3.0.0";
        let component = Component::default();
        assert_eq!(
            not_inherited(store, &none, &component),
            Some("key_value_stores")
        );
        let some = Inherit::Only(vec!["key_value_stores".into()]);
        assert_eq!(not_inherited(store, &some, &component), None);
        assert_eq!(not_inherited(store, &Inherit::All, &component), None);
        let environment = "wasi:cli/environment@0.2.6";
        assert_eq!(not_inherited(environment, &none, &component), None);
        let mut component = Component::default();
        component.environment.insert("A".into(), "b".into());
        assert_eq!(
            not_inherited(environment, &none, &component),
            Some("environment")
        );
    }
}
