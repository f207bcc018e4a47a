//! A start that must fail says everything that is wrong, at once.

use wasmart_host::{Host, Redis};

use crate::app::{App, guest};

#[tokio::test]
async fn all_faults_are_in_one_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let manifest = folder.path().join("spin.toml");
    let probe = guest("probe");
    let provider = guest("provider");
    std::fs::write(
        &manifest,
        format!(
            r#"
            spin_manifest_version = 2
            [application]
            name = "x"
            [variables]
            needed = {{ required = true }}
            [[trigger.http]]
            route = "/a"
            component = "nowhere"
            [[trigger.http]]
            route = "/b"
            component = "probe"
            [[trigger.http]]
            route = "/b"
            component = "missing"
            [[trigger.http]]
            route = "/c"
            component = "mute"
            [[trigger.redis]]
            channel = "c"
            component = "probe"
            [[trigger.cron]]
            component = "probe"
            [component.probe]
            source = {probe:?}
            files = ["x"]
            sqlite_databases = ["orders"]
            key_value_stores = ["tokens"]
            allowed_outbound_hosts = ["example.com", "http://ghost.spin.internal"]
            variables = {{ a = "{{{{ unknown }}}}" }}
            [component.missing]
            source = "missing.wasm"
            build = {{ command = "make it" }}
            allowed_outbound_hosts = ["http://ghost.spin.internal"]
            [component.mute]
            source = {provider:?}
            "#
        ),
    )
    .unwrap();
    let error = Host::builder()
        .manifest(manifest)
        .state_dir(folder.path())
        .process_environment(false)
        .variable("typo", "x")
        .listen(taken.local_addr().unwrap())
        .build()
        .await
        .err()
        .expect("must not start");
    let text = error.to_string();
    for part in [
        "trigger type `cron` is not supported",
        "component.probe: `files` is not supported",
        "variable `needed` has no value: set SPIN_VARIABLE_NEEDED",
        "variable `typo` was given, but",
        "an HTTP trigger names the component `nowhere`",
        "route /b is given to more than one trigger",
        "component `probe`: database `orders` has no place",
        "component `probe`: key-value store `tokens` has no place",
        "component `probe`: allowed_outbound_hosts: `example.com` needs a scheme",
        "component `probe`: variable `a`: `{{ unknown }}`: unknown variable `unknown`",
        "missing.wasm does not exist: run `make it`",
        "component `missing`: allowed_outbound_hosts names `ghost.spin.internal`",
        "component `mute`: has HTTP triggers but does not export `wasi:http/handler@0.3.0`",
        "the Redis trigger for channel `c` has no address",
        "is in use: stop what listens there",
    ] {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    assert_eq!(error.faults().len(), 15, "{text}");
}

#[tokio::test]
async fn a_manifest_that_is_not_there_is_one_line() {
    let error = Host::builder()
        .manifest("no/such/spin.toml")
        .build()
        .await
        .err()
        .unwrap();
    assert!(
        error
            .to_string()
            .starts_with("no/such/spin.toml: No such file"),
        "{error}"
    );
}

#[tokio::test]
async fn a_database_that_cannot_be_opened_is_a_fault() {
    let app = App::new("sqlite_databases = ['d']\nkey_value_stores = ['k']")
        .with_runtime_config("[sqlite_database.d]\ntype = 'spin'\npath = 'spin.toml/d.db'")
        .with_runtime_config("[key_value_store.k]\ntype = 'spin'\npath = 'spin.toml/k.db'");
    let faults = app.faults().await;
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults[0].contains("d.db cannot be opened"), "{faults:?}");
    assert!(faults[1].contains("key-value store `k`") && faults[1].contains("cannot be opened"));
}

#[tokio::test]
async fn code_that_is_no_component_is_a_fault() {
    let app = App::new("");
    let bad = app.folder.path().join("bad.wasm");
    std::fs::write(&bad, b"not wasm").unwrap();
    let text = format!(
        "[[trigger.http]]\nroute = '/bad'\ncomponent = 'bad'\n[component.bad]\nsource = {bad:?}"
    );
    let faults = app.with(&text).faults().await;
    assert_eq!(faults.len(), 1);
    assert!(
        faults[0].contains("component `bad`: not a WebAssembly component"),
        "{faults:?}"
    );
}

#[tokio::test]
async fn what_spin_would_refuse_is_a_fault() {
    let grants = "allowed_outbound_hosts = ['http://*.spin.internal']
        [[trigger.redis]]
        channel = 'c'
        component = 'probe'";
    let faults = App::new(grants).faults().await;
    assert!(faults[0].contains("Spin refuses that"), "{faults:?}");
}

#[tokio::test]
async fn a_redis_that_is_not_there_is_no_fault() {
    let app = App::new(crate::channels::LISTENS);
    let builder = app
        .builder()
        .redis(Redis::Server("redis://127.0.0.1:1".into()));
    let app = app.start_with(builder).await;
    assert_eq!(app.probe("served").await.unwrap(), 1);
    let error = app
        .probe("redis/publish?address=redis://127.0.0.1:1&key=c&value=v")
        .await
        .unwrap_err();
    assert!(error.contains("refused"), "{error}");
}
