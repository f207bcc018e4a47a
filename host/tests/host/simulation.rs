//! What the feature `faults` adds: messages that a hook loses, repeats and delays, clocks that are set, calls that
//! fail, and runs that a seed repeats.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value as Json;
use wasmart_host::{CallHook, Clock, Delivery, Fate, Host, HostCall, Simulation, Verdict};

use crate::app::App;
use crate::channels::LISTENS;

/// Does to a message what it says.
struct Post;

impl CallHook for Post {
    fn deliver(&self, message: &Delivery<'_>) -> Fate {
        assert_eq!((message.component, message.channel), ("probe", "c"));
        match message.payload {
            b"lost" => Fate::Copies(vec![]),
            b"twice" => Fate::Copies(vec![Duration::ZERO, Duration::ZERO]),
            b"late" => Fate::Copies(vec![Duration::from_millis(300)]),
            _ => Fate::Deliver,
        }
    }
}

#[tokio::test]
async fn a_hook_loses_repeats_and_delays_messages() {
    let app = App::new(LISTENS);
    let builder = app.builder().call_hook(Arc::new(Post));
    let app = app.start_with(builder).await;
    for text in ["lost", "late", "twice", "last"] {
        app.host.publish("c", text).await.unwrap();
    }
    assert_eq!(app.messages(4).await, ["twice", "twice", "last", "late"]);
}

/// Every statement fails, and nothing can be published.
struct Broken;

impl CallHook for Broken {
    fn before(&self, call: &HostCall<'_>) -> Verdict {
        match call.name {
            "sqlite.execute" | "redis.publish" => Verdict::Fail("out of order"),
            _ => Verdict::Pass,
        }
    }
}

#[tokio::test]
async fn a_hook_makes_calls_fail() {
    let app = App::new(LISTENS);
    let builder = app.builder().call_hook(Arc::new(Broken));
    let app = app.start_with(builder).await;
    let failed = app.sql("default", "CREATE TABLE t (a)").await.unwrap_err();
    assert!(failed.contains("out of order"), "{failed}");
    let publish = "redis/publish?address=redis://127.0.0.1:6379&key=c&value=x";
    let failed = app.probe(publish).await.unwrap_err();
    assert!(failed.contains("out of order"), "{failed}");
}

#[tokio::test]
async fn components_see_the_clock_that_was_set() {
    let clock = Clock::starting_at(UNIX_EPOCH + Duration::from_secs(1_000_000));
    let app = App::new("");
    let builder = app.builder().clock(clock.clone());
    let app = app.start_with(builder).await;
    let seen = async || app.probe("now").await.unwrap().as_u64().unwrap() / 1_000;
    let begun = seen().await;
    assert!((1_000_000..1_000_060).contains(&begun), "{begun}");
    clock.jump(3_600_000);
    assert!(seen().await >= begun + 3_600);
    clock.jump(-7_200_000);
    assert!(seen().await < begun);
    assert!(clock.now() < SystemTime::now().duration_since(UNIX_EPOCH).unwrap());
}

async fn ask(host: &Host, operation: &str) -> Json {
    let request =
        http::Request::get(format!("http://app/do/{operation}")).body(bytes::Bytes::new());
    let answer = host.request(request.unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    serde_json::from_slice(answer.body()).unwrap()
}

/// What a simulated probe sees of the world: the time, something random, the time after a day's wait.
fn simulated(seed: u64) -> Vec<Json> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let app = App::new("");
        let simulation = Simulation::new(seed);
        let host = app.builder().simulation(&simulation).build().await.unwrap();
        let mut seen = vec![ask(&host, "now").await, ask(&host, "random").await];
        tokio::time::sleep(Duration::from_secs(86_400)).await;
        seen.push(ask(&host, "now").await);
        seen
    })
}

#[test]
fn a_seed_repeats_what_components_see() {
    let begun = std::time::Instant::now();
    let [one, same, other] = [1, 1, 2].map(simulated);
    assert_eq!(one, same);
    assert_eq!(
        one[2].as_u64().unwrap() - one[0].as_u64().unwrap(),
        86_400_000
    );
    assert_ne!(one[1], other[1]);
    assert!(
        begun.elapsed() < Duration::from_secs(60),
        "waiting should take no time"
    );
}
