//! Components composed with their dependencies.

use crate::app::{App, guest};

/// The component `caller` with its dependency, and the grants both live on.
fn app(dependency: &str) -> App {
    let caller = format!(
        "key_value_stores = ['default']\nvariables = {{ greeting = 'hello' }}\n\
         [component.caller.dependencies]\n{dependency}"
    );
    App::new("key_value_stores = ['default']")
        .component("caller", "caller", "/caller", &caller)
        .component("provider", "provider", "", "")
}

#[tokio::test]
async fn a_dependency_uses_what_it_inherits() {
    let inherits = "inherit_configuration = ['key_value_stores', 'variables']";
    for name in [
        "probe:dep/check",
        "probe:dep/check@0.1.0",
        "probe:dep@0.1.0",
    ] {
        let app = app(&format!(
            "'{name}' = {{ component = 'provider', {inherits} }}"
        ))
        .start()
        .await;
        app.probe("kv/set?store=default&key=k&value=world")
            .await
            .unwrap();
        assert_eq!(app.get("/caller?k").await, (200, "hello world".into()));
    }
    let by_path = format!(
        "'probe:dep/check' = {{ path = {:?}, inherit_configuration = true }}",
        guest("provider")
    );
    let app = app(&by_path).start().await;
    assert_eq!(app.get("/caller?k").await, (200, "hello nothing".into()));
}

#[tokio::test]
async fn what_a_dependency_does_not_inherit_is_a_fault() {
    let faults = app("'probe:dep/check' = { component = 'provider' }")
        .faults()
        .await;
    let dependency = "component `caller`: dependency `probe:dep/check`";
    assert_eq!(
        faults,
        [
            format!("{dependency} needs `key_value_stores`: add it to its `inherit_configuration`"),
            format!("{dependency} needs `variables`: add it to its `inherit_configuration`"),
        ]
    );
}

#[tokio::test]
async fn a_dependency_that_fits_nothing_is_a_fault() {
    let faults =
        app("'other:dep/check' = { component = 'provider', inherit_configuration = true }")
            .faults()
            .await;
    assert_eq!(
        faults,
        ["component `caller`: dependency `other:dep/check` matches no import of the component"]
    );
    let faults = app("'probe:dep/check' = { component = 'probe', inherit_configuration = true }")
        .faults()
        .await;
    assert!(
        faults[0].contains("does not export `probe:dep/check@0.1.0`"),
        "{faults:?}"
    );
    let faults = app("").faults().await;
    assert_eq!(
        faults,
        ["component `caller`: imports `probe:dep/check@0.1.0`, which this host does not offer"]
    );
}
