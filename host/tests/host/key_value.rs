//! Stores in files; `redis_server` has those in Redis.

use serde_json::json;

use crate::app::{App, Running};

/// What any store must do.
pub async fn check(app: &Running, store: &str) {
    let call = async |operation: &str, rest: &str| {
        app.probe(&format!("kv/{operation}?store={store}&{rest}"))
            .await
            .unwrap()
    };
    assert_eq!(call("get", "key=a").await, json!(null));
    assert_eq!(call("exists", "key=a").await, json!(false));
    call("set", "key=a&value=1").await;
    call("set", "key=a&value=2").await;
    call("set", "key=b&value=").await;
    assert_eq!(call("get", "key=a").await, json!("2"));
    assert_eq!(call("get", "key=b").await, json!(""));
    assert_eq!(call("keys", "").await, json!(["a", "b"]));
    call("delete", "key=a").await;
    call("delete", "key=a").await;
    assert_eq!(call("exists", "key=a").await, json!(false));
    let long = "k".repeat(20_000);
    call("set", &format!("key={long}&value=3")).await;
    assert_eq!(call("get", &format!("key={long}")).await, json!("3"));
}

#[tokio::test]
async fn values_are_kept_over_a_restart() {
    let app = App::new("key_value_stores = ['default', 'memory']")
        .with_runtime_config("[key_value_store.memory]\ntype = 'spin'")
        .start()
        .await;
    check(&app, "default").await;
    check(&app, "memory").await;
    assert!(
        app.app
            .folder
            .path()
            .join("state/sqlite_key_value.db")
            .exists(),
        "Spin's place for it"
    );
    app.host.stop().await;
    let app = app.app.start().await;
    assert_eq!(
        app.probe("kv/get?store=default&key=b").await.unwrap(),
        json!("")
    );
    assert_eq!(
        app.probe("kv/get?store=memory&key=b").await.unwrap(),
        json!(null)
    );
}
