//! A graceful stop.

use std::time::{Duration, Instant};

use crate::app::App;

#[tokio::test]
async fn running_requests_finish_and_new_ones_are_refused() {
    let app = App::new("").start().await;
    let url = app.url("/do/sleep?ms=2000");
    let (client, address) = (app.client.clone(), app.host.addr());
    let running = tokio::spawn(async move { client.get(url).send().await.unwrap().status() });
    tokio::time::sleep(Duration::from_millis(700)).await;
    let begun = Instant::now();
    app.host.stop().await;
    let took = begun.elapsed();
    assert_eq!(running.await.unwrap(), 200);
    assert!(
        (Duration::from_millis(300)..Duration::from_secs(4)).contains(&took),
        "{took:?}"
    );
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_running_message_handler_finishes() {
    let app = App::new(crate::channels::LISTENS).start().await;
    app.host.publish("c", "slow 1200").await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    app.host.stop().await;
    let app = app.app.start().await;
    assert_eq!(app.messages(1).await, ["slow 1200"]);
}

#[tokio::test]
async fn what_runs_when_a_host_is_dropped_has_no_effect_any_more() {
    let app = App::new("sqlite_databases = ['default']").start().await;
    app.sql("default", "CREATE TABLE t (a)").await.unwrap();
    let request = app
        .client
        .post(app.url("/do/sql?db=default&after=1500"))
        .body("INSERT INTO t VALUES (1)")
        .send();
    let request = tokio::spawn(request);
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(app.host);
    tokio::time::sleep(Duration::from_millis(1_600)).await;
    assert!(request.await.unwrap().is_err());
    let app = app.app.start().await;
    let kept = app.sql("default", "SELECT count(*) FROM t").await.unwrap();
    assert_eq!(kept["rows"], serde_json::json!([[0]]));
}

#[tokio::test]
async fn a_dropped_host_frees_its_address() {
    let app = App::new("").start().await;
    let address = app.host.addr();
    drop(app.host);
    for _ in 0..50 {
        if tokio::net::TcpListener::bind(address).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{address} is still taken");
}
