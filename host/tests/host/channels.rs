//! Channels inside the process, and ticks.

use std::time::Duration;

use serde_json::json;

use crate::app::App;

pub const LISTENS: &str = "
    sqlite_databases = ['default']
    allowed_outbound_hosts = ['{{ redis_url }}']
    [[trigger.redis]]
    channel = 'c'
    component = 'probe'
";

#[tokio::test]
async fn messages_come_in_order_whoever_publishes() {
    let app = App::new(LISTENS).start().await;
    let mut expected = Vec::new();
    for number in 0..50 {
        let text = format!("m{number}");
        if number % 2 == 0 {
            app.host.publish("c", text.clone()).await.unwrap();
        } else {
            let address = "address=redis://127.0.0.1:6379";
            app.probe(&format!("redis/publish?{address}&key=c&value={text}"))
                .await
                .unwrap();
        }
        expected.push(text);
    }
    app.host.publish("nobody-listens", "x").await.unwrap();
    assert_eq!(app.messages(50).await, expected);
    // The instance was kept from message to message.
    let answer = app
        .sql("default", "SELECT max(served) FROM messages")
        .await
        .unwrap();
    assert_eq!(answer["rows"], json!([[50]]));
}

#[tokio::test]
async fn a_failing_handler_does_not_stop_the_next_message() {
    let app = App::new(LISTENS);
    let builder = app.builder().request_timeout(Duration::from_millis(500));
    let app = app.start_with(builder).await;
    for text in ["1", "trap", "2", "error", "3", "loop", "4"] {
        app.host.publish("c", text).await.unwrap();
    }
    assert_eq!(app.messages(4).await, ["1", "2", "3", "4"]);
}

#[tokio::test]
async fn one_message_at_a_time_for_each_component_and_channel() {
    let app = App::new(LISTENS).start().await;
    app.host.publish("c", "slow 300").await.unwrap();
    app.host.publish("c", "quick").await.unwrap();
    assert_eq!(app.messages(2).await, ["slow 300", "quick"]);
}

#[tokio::test]
async fn two_channels_of_one_component_do_not_wait_for_each_other() {
    let second = "[[trigger.redis]]\nchannel = 'd'\ncomponent = 'probe'";
    let app = App::new(LISTENS).with(second).start().await;
    app.host.publish("c", "slow 1500").await.unwrap();
    app.host.publish("d", "quick").await.unwrap();
    assert_eq!(app.messages(2).await, ["quick", "slow 1500"]);
}

#[tokio::test]
async fn without_a_server_only_publishing_works() {
    let app = App::new(LISTENS).start().await;
    let error = app
        .probe("redis/get?address=redis://127.0.0.1:6379&key=a")
        .await
        .unwrap_err();
    assert!(
        error.contains("no Redis server") && error.contains("--redis"),
        "{error}"
    );
}

const TICK: &str = "
    [application.tool.wasmart]
    tick = [{ component = 'probe', path = '/do/kv/set?store=default&key=ticked&value=yes', every_ms = 50 }]
";

#[tokio::test]
async fn a_tick_calls_its_component() {
    let app = App::new("key_value_stores = ['default']")
        .with(TICK)
        .start()
        .await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(
        app.probe("kv/get?store=default&key=ticked").await.unwrap(),
        json!(null),
        "off in tests"
    );
    app.host.tick().await;
    assert_eq!(
        app.probe("kv/get?store=default&key=ticked").await.unwrap(),
        json!("yes")
    );
}

#[tokio::test]
async fn a_component_in_the_background_is_served_all_the_same() {
    let app = App::new("key_value_stores = ['default']")
        .with("[application.tool.wasmart]\nbackground = ['probe']")
        .start()
        .await;
    let keys = 0..20;
    let set = keys.clone().map(|key| {
        let path = format!("kv/set?store=default&key=k{key}&value=v{key}");
        let app = &app;
        async move { app.probe(&path).await }
    });
    for set in futures::future::join_all(set).await {
        set.unwrap();
    }
    for key in keys {
        let path = format!("kv/get?store=default&key=k{key}");
        assert_eq!(app.probe(&path).await.unwrap(), json!(format!("v{key}")));
    }
}

#[tokio::test]
async fn ticks_run_by_themselves() {
    let app = App::new("key_value_stores = ['default']").with(TICK);
    let builder = app.builder().ticks(true);
    let app = app.start_with(builder).await;
    for _ in 0..100 {
        if app.probe("kv/get?store=default&key=ticked").await.unwrap() == json!("yes") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no tick came");
}
