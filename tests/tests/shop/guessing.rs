//! Who guesses is slowed down, whoever the account belongs to; who owns an account gets in.

use crate::harness::actor::PLENTY;
use crate::harness::process::Process;
use crate::harness::{Actor, Answer, App};
use crate::passwords::{forget, reset, token};
use futures::future::join_all;
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const STRANGER: &str = "198.51.100.7";
const HOME: &str = "203.0.113.1";

/// A shop behind a proxy: what it says of the client's address is believed.
async fn behind_a_proxy() -> App {
    App::start_with(&[("trusted_proxies", "127.0.0.0/8")]).await
}

async fn log_in(somebody: &Actor, login: &str, password: &str) -> Answer {
    let body = json!({"login": login, "password": password});
    somebody.post("/auth/login", &body).await
}

/// Seconds that a refusal says to wait.
#[track_caller]
fn wait_of(answer: &Answer) -> u64 {
    let seconds = answer.header("retry-after").and_then(|s| s.parse().ok());
    seconds.unwrap_or_else(|| panic!("no Retry-After: {answer}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longer_somebody_fails_the_longer_is_the_wait() {
    let app = behind_a_proxy().await;
    let ann = app.customer().await;
    let stranger = app.anonymous().from(STRANGER);
    // An account that is none gives the same answers, to the word.
    for login in [
        ann.email.as_str(),
        "nobody@example.com",
        "nobody",
        "no!body",
    ] {
        for _ in 0..10 {
            log_in(&stranger, login, "wrong password")
                .await
                .refused(401, "invalid-credentials");
        }
        let refused = log_in(&stranger, login, "wrong password").await;
        let refused = refused.refused(429, "too-many-attempts");
        assert_eq!(wait_of(&refused), 1, "{refused}");
        // Not even the right password gets an answer now; and what is refused unseen is no failure.
        log_in(&stranger, login, &ann.password)
            .await
            .refused(429, "too-many-attempts");
    }
    let mut waits = Vec::new();
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(2_100)).await;
        log_in(&stranger, &ann.email, "wrong password")
            .await
            .refused(401, "invalid-credentials");
        let refused = log_in(&stranger, &ann.email, "wrong password").await;
        waits.push(wait_of(&refused.refused(429, "too-many-attempts")));
        tokio::time::sleep(Duration::from_millis(2_000)).await;
    }
    assert_eq!(waits, [2, 4]);
    // Elsewhere nobody has to wait.
    log_in(&stranger.from(HOME), &ann.email, &ann.password)
        .await
        .expect(200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_success_takes_the_failures_back() {
    let app = behind_a_proxy().await;
    let ann = app.customer().await;
    for _ in 0..3 {
        for _ in 0..8 {
            log_in(&ann, &ann.email, "wrong password").await.expect(401);
        }
        log_in(&ann, &ann.email, &ann.password).await.expect(200);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn those_that_come_at_once_are_counted_one_by_one() {
    let app = behind_a_proxy().await;
    let ann = app.customer().await;
    let stranger = app.anonymous().from(STRANGER);
    let tries = (0..40).map(|_| log_in(&stranger, &ann.email, "wrong password"));
    let answers = join_all(tries).await;
    let looked_at = answers.iter().filter(|answer| answer.status == 401).count();
    assert_eq!(looked_at, 10, "{answers:?}");
    assert!(answers.iter().all(|a| [401, 429].contains(&a.status)));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hosts_of_one_shop_count_as_one() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (one, two) = (Process::start(folder.path()), Process::start(folder.path()));
    let ann = Actor::register(one.address(), "ann@example.com").await;
    let tries = (0..30).map(async |number| {
        let host = if number % 2 == 0 { &one } else { &two };
        log_in(&ann.at(host.address()), &ann.email, "wrong password").await
    });
    let answers = join_all(tries).await;
    let looked_at = answers.iter().filter(|answer| answer.status == 401).count();
    assert_eq!(looked_at, 10, "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attack_from_everywhere_keeps_no_owner_out() {
    let app = behind_a_proxy().await;
    let mut ann = app.anonymous().from(HOME);
    let new = json!({"email": "ann@example.com", "password": "password of ann"});
    ann.take_tokens(&ann.post("/auth/register", &new).await.expect(201));
    // More failures than free ones, each from another network.
    for number in 0..52 {
        let bot = app.anonymous().from(&format!("192.0.2.{number}"));
        log_in(&bot, "ann@example.com", "wrong password")
            .await
            .refused(401, "invalid-credentials");
    }
    // A network that is strange to the account has fewer tries now …
    let stranger = app.anonymous().from(STRANGER);
    for _ in 0..3 {
        log_in(&stranger, "ann@example.com", "wrong password")
            .await
            .refused(401, "invalid-credentials");
    }
    log_in(&stranger, "ann@example.com", "wrong password")
        .await
        .refused(429, "too-many-attempts");
    // … one that is known has as many as ever, mistakes included …
    for _ in 0..9 {
        log_in(&ann, "ann@example.com", "wrong password")
            .await
            .refused(401, "invalid-credentials");
    }
    let password = "password of ann";
    log_in(&ann, "ann@example.com", password).await.expect(200);
    // … and the owner gets in from a new one at once, in the middle of it.
    let travelling = app.anonymous().from("198.51.100.200");
    log_in(&travelling, "ann@example.com", password)
        .await
        .expect(200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_network_may_not_try_everybody() {
    let app = behind_a_proxy().await;
    let ann = app.customer().await;
    // All of an IPv6 subscriber's addresses are one.
    let tries = (0..110).map(async |number| {
        let bot = app.anonymous().from(&format!("2001:db8::{number:x}"));
        log_in(&bot, &format!("nobody{number}@example.com"), "x").await
    });
    let begun = Instant::now();
    let answers = join_all(tries).await;
    let looked_at = answers.iter().filter(|answer| answer.status == 401).count();
    // One more try comes free every ten seconds.
    let most = 100 + usize::try_from(begun.elapsed().as_secs() / 10).expect("a short time");
    assert!((100..=most).contains(&looked_at), "{looked_at} of {most}");
    let refused = answers.iter().find(|answer| answer.status == 429);
    // However many, the wait stays short: others may be behind the same address.
    assert!(refused.is_some_and(|refused| wait_of(refused) <= 30));
    let neighbour = app.anonymous().from("2001:db8:0:1::1");
    log_in(&neighbour, &ann.email, &ann.password)
        .await
        .expect(200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_round_it_by_what_a_client_says_of_itself_nor_by_a_restart() {
    let mut app = App::start().await;
    let ann = app.customer().await;
    for number in 0..10 {
        let bot = app.anonymous().from(&format!("192.0.2.{number}"));
        let forged = bot
            .request("POST", "/auth/login")
            .header("spin-client-addr", format!("192.0.2.{number}:1"));
        let body = json!({"login": ann.email, "password": "wrong password"});
        bot.send(forged.json(&body)).await.expect(401);
    }
    app.restart().await;
    let bot = app.anonymous().from(STRANGER);
    let refused = log_in(&bot, &ann.email, "wrong password").await;
    // A slow restart may have waited it out.
    if refused.status == 401 {
        log_in(&bot, &ann.email, "wrong password")
            .await
            .refused(429, "too-many-attempts");
    } else {
        refused.refused(429, "too-many-attempts");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_takes_a_secret_is_slowed_down_alike() {
    let app = behind_a_proxy().await;
    let ann = app.customer().await;
    let change = json!({"current_password": "wrong password", "new_password": "a better one"});
    for _ in 0..10 {
        let refused = ann.post("/auth/password", &change).await;
        assert_eq!(
            refused.refused(422, "invalid-input").fields(),
            ["current_password"]
        );
    }
    let refused = ann.post("/auth/password", &change).await;
    wait_of(&refused.refused(429, "too-many-attempts"));

    let stranger = app.anonymous().from(STRANGER);
    let reset = json!({"token": "guessed", "password": "a better one"});
    for _ in 0..10 {
        stranger
            .post("/auth/password/reset", &reset)
            .await
            .refused(401, "invalid-reset-token");
    }
    stranger
        .post("/auth/password/reset", &reset)
        .await
        .refused(429, "too-many-attempts");

    for email in [ann.email.as_str(), "nobody@example.com"] {
        let forgot = json!({"email": email});
        for _ in 0..10 {
            stranger
                .post("/auth/password/forgot", &forgot)
                .await
                .expect(202);
        }
        stranger
            .post("/auth/password/forgot", &forgot)
            .await
            .refused(429, "too-many-attempts");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_reset_tokens_do_not_keep_a_right_one_waiting() {
    let app = App::start().await;
    let ann = app.customer().await;
    forget(&app, &ann.email).await;
    let token = token(&app, 1).await;
    let new = "a quite new password";
    for _ in 0..10 {
        reset(&app, "guessed", new)
            .await
            .refused(401, "invalid-reset-token");
    }
    reset(&app, "guessed", new)
        .await
        .refused(429, "too-many-attempts");
    // Nor do other requests of which this network has sent too many.
    let tries = (0..110).map(|number| {
        let (nobody, body) = (app.anonymous(), json!({"email": format!("nobody{number}")}));
        async move { nobody.post("/auth/password/forgot", &body).await.status }
    });
    assert!(join_all(tries).await.contains(&429));
    let refused = reset(&app, &token, "password1").await;
    assert_eq!(refused.refused(422, "invalid-input").fields(), ["password"]);
    reset(&app, &token, new).await.expect(204);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_logins_at_once_do_not_starve_orders() {
    let app = behind_a_proxy().await;
    let tea = app.manager().await.sell("Tea", 100, 100).await;
    let ann = app.customer_with(PLENTY).await;
    let answered = AtomicUsize::new(0);
    // Each from a network of its own, so that every one of them is worth a hash.
    let logins = join_all((0..100).map(async |number| {
        let somebody = app.anonymous().from(&format!("192.0.2.{number}"));
        let login = format!("nobody{number}@example.com");
        log_in(&somebody, &login, "x").await.expect(401);
        answered.fetch_add(1, Ordering::Relaxed);
    }));
    let orders = async {
        while answered.load(Ordering::Relaxed) < 5 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut times = Vec::new();
        for _ in 0..5 {
            let begun = Instant::now();
            let order = ann.order(&tea, 1).await;
            ann.wait_for(&order, "paid").await;
            times.push(begun.elapsed().as_millis());
        }
        (times, answered.load(Ordering::Relaxed))
    };
    let (_, (times, answered)) = tokio::join!(logins, orders);
    println!(
        "ms to settle an order among logins: {times:?}; {answered} logins were answered by then"
    );
    assert!(
        answered < 100,
        "the orders waited for all logins: {times:?}"
    );
    app.finish().await;
}
