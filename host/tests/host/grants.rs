//! What the manifest does not grant is refused, with the error that Spin gives.

use crate::app::App;

#[tokio::test]
async fn nothing_is_granted_by_default() {
    let app = App::new("")
        .component("other", "probe", "private", "")
        .start()
        .await;
    for operation in ["kv/get?store=default&key=a", "kv/get?store=unknown&key=a"] {
        assert_eq!(
            app.probe(operation).await.unwrap_err(),
            "Error::AccessDenied",
            "{operation}"
        );
    }
    assert_eq!(
        app.sql("default", "SELECT 1").await.unwrap_err(),
        "Error::AccessDenied"
    );
    let variable = app.probe("variable?name=redis_url").await.unwrap_err();
    assert!(variable.contains("Undefined"), "{variable}");
    let redis = app
        .probe("redis/publish?address=redis://127.0.0.1:6379&key=c&value=v")
        .await;
    assert_eq!(redis.unwrap_err(), "Error::InvalidAddress");
    for url in [
        "http://127.0.0.1:9/",
        "http://other.spin.internal/",
        "http://self.alt/",
    ] {
        let error = app.probe(&format!("fetch?url={url}")).await.unwrap_err();
        assert!(error.contains("HttpRequestDenied"), "{url}: {error}");
    }
    assert_eq!(
        app.probe("environment").await.unwrap(),
        serde_json::json!([])
    );
}

#[tokio::test]
async fn a_grant_for_one_is_none_for_another() {
    let app = App::new("key_value_stores = ['a']\nsqlite_databases = ['a']")
        .with_runtime_config("[key_value_store.a]\ntype='spin'\n[key_value_store.b]\ntype='spin'")
        .with_runtime_config("[sqlite_database.a]\ntype='spin'\n[sqlite_database.b]\ntype='spin'")
        .component("other", "probe", "/other/...", "key_value_stores = ['b']")
        .start()
        .await;
    assert!(app.probe("kv/get?store=a&key=k").await.is_ok());
    assert_eq!(
        app.probe("kv/get?store=b&key=k").await.unwrap_err(),
        "Error::AccessDenied"
    );
    assert_eq!(
        app.sql("b", "SELECT 1").await.unwrap_err(),
        "Error::AccessDenied"
    );
    assert_eq!(app.get("/other/do/kv/get?store=b&key=k").await.0, 200);
    assert_eq!(
        app.get("/other/do/kv/get?store=a&key=k").await,
        (422, "Error::AccessDenied".into())
    );
}

#[tokio::test]
async fn variables_come_from_the_component_table_and_the_strongest_source() {
    let grants = "[component.probe.variables]\ngreeting = '{{ who }}, hello'\n[variables.who]\ndefault = 'x'";
    let app = App::new(grants);
    let file = app.folder.path().join("env");
    std::fs::write(&file, "SPIN_VARIABLE_WHO=file").unwrap();
    let builder = app.builder().env_file(file);
    let app = app.start_with(builder).await;
    assert_eq!(
        app.probe("variable?name=greeting").await.unwrap(),
        "file, hello"
    );
    let error = app.probe("variable?name=who").await.unwrap_err();
    assert!(error.contains("Undefined"), "{error}");
    let error = app.probe("variable?name=Who").await.unwrap_err();
    assert!(error.contains("InvalidName"), "{error}");
    let builder = app.app.builder().variable("who", "given");
    drop(app.host);
    let app = app.app.start_with(builder).await;
    assert_eq!(
        app.probe("variable?name=greeting").await.unwrap(),
        "given, hello"
    );
}

#[tokio::test]
async fn an_allowed_host_is_reached_over_the_network() {
    let inner = App::new("").start().await;
    let address = inner.host.addr();
    let app = App::new(&format!(
        "allowed_outbound_hosts = ['http://{address}']\nenvironment = {{ A = 'b' }}"
    ))
    .start()
    .await;
    let answer = app
        .probe(&format!("fetch?url=http://{address}/do/served"))
        .await
        .unwrap();
    assert_eq!(answer, serde_json::json!({ "status": 200, "body": "1" }));
    let other = address.port().wrapping_add(1);
    let error = app
        .probe(&format!("fetch?url=http://127.0.0.1:{other}/"))
        .await
        .unwrap_err();
    assert!(error.contains("HttpRequestDenied"), "{error}");
    assert_eq!(
        app.probe("environment").await.unwrap(),
        serde_json::json!([["A", "b"]])
    );
}
