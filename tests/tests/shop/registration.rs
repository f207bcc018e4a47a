//! Registrations: they are counted and take turns; the answer is the same for a taken email and a
//! taken username; one key makes one account.

use crate::harness::process::Process;
use crate::harness::{Actor, Answer, App, logs};
use futures::future::join_all;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const FLOOD: &str = "198.51.100.7";
const HOME: &str = "203.0.113.1";
/// All paths of the same handler.
const SPELLINGS: [&str; 3] = ["/auth/register", "/register", "/users/register"];
/// Registrations that one network may make at once.
const FREE: usize = 100;

async fn behind_a_proxy() -> App {
    App::start_with(&[("trusted_proxies", "127.0.0.0/8")]).await
}

fn account(email: &str, username: Option<&str>) -> Value {
    json!({"email": email, "username": username, "password": "correct horse"})
}

#[tokio::test(flavor = "multi_thread")]
async fn registrations_from_one_address_are_counted_and_hold_up_nobody_else() {
    let app = behind_a_proxy().await;
    let ann = app.customer().await;
    let made = AtomicUsize::new(0);
    let flood = join_all((0..450).map(async |number: usize| {
        let bot = app.anonymous().from(FLOOD);
        let path = SPELLINGS[number % SPELLINGS.len()];
        let body = account(&format!("bot{number}@example.com"), None);
        let answer = bot
            .send_unchecked(bot.request("POST", path).json(&body))
            .await;
        if answer.status == 201 {
            made.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }));
    let logins = async {
        while made.load(Ordering::Relaxed) < 5 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut passed = Vec::new();
        for _ in 0..5 {
            let (begun, before) = (Instant::now(), made.load(Ordering::Relaxed));
            let login = json!({"login": ann.email, "password": ann.password});
            let elsewhere = app.anonymous().from(HOME);
            elsewhere.post("/auth/login", &login).await.expect(200);
            passed.push(made.load(Ordering::Relaxed) - before);
            println!("a login took {:?}", begun.elapsed());
        }
        passed
    };
    let (answers, passed) = tokio::join!(flood, logins);
    // Measures how many of the flood went first, not the time, which depends on the machine.
    assert!(passed.iter().all(|count| *count <= 12), "{passed:?}");
    let made = made.into_inner();
    // One more comes free every ten seconds. On a machine that has much else to do some wait in vain.
    assert!(made < FREE + 10, "{made}");
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        assert!([429, 503].contains(&refused.status), "{refused}");
        let wait = refused.header("retry-after").and_then(|s| s.parse().ok());
        let is_useful = wait.is_some_and(|wait: u64| (1..=30).contains(&wait));
        assert!(is_useful, "{refused}");
    }
    let counted = answers.iter().filter(|answer| answer.status == 429);
    assert!(counted.count() >= 450 - FREE - 50, "{made}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refusal_covers_whatever_is_taken() {
    let app = behind_a_proxy().await;
    let admin = app.admin().await;
    let nobody = app.anonymous();
    let ann = account("ann@example.com", Some("ann"));
    nobody.post("/auth/register", &ann).await.expect(201);
    let taken = [
        account("Ann@Example.com", None),
        account("ann@example.com", Some("ann2")),
        account("ann2@example.com", Some("Ann")),
        ann,
    ];
    let mut bodies = Vec::new();
    for path in SPELLINGS {
        for body in &taken {
            let answer = nobody.post(path, body).await;
            bodies.push(answer.refused(409, "already-registered").body);
        }
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    let text = bodies[0].to_lowercase();
    assert!(
        !text.contains("email") && !text.contains("username"),
        "{text}"
    );
    let records = admin.get("/auth/audit?kind=registration.refused").await;
    let records = records.expect(200).data();
    assert_eq!(records.len(), SPELLINGS.len() * taken.len());
    assert!(records.iter().all(|record| record["client"] == "127.0.0.1"));
    assert!(!format!("{records:?}").contains("example.com"));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_a_refused_registration_tells_nothing() {
    let app = behind_a_proxy().await;
    let ann = account("ann@example.com", Some("ann"));
    app.anonymous()
        .post("/auth/register", &ann)
        .await
        .expect(201);
    let mut fresh = 0;
    let mut quickest = async || {
        let mut times = [u128::MAX; 4];
        for _ in 0..9 {
            fresh += 1;
            let asked = [
                account("ann@example.com", None),
                account(&format!("new{fresh}@example.com"), Some("ann")),
                ann.clone(),
                account(
                    &format!("fresh{fresh}@example.com"),
                    Some(&format!("fresh{fresh}")),
                ),
            ];
            for (body, time) in asked.iter().zip(&mut times) {
                let somebody = app.anonymous().from(&format!("10.0.{fresh}.1"));
                let begun = Instant::now();
                let answer = somebody.post("/auth/register", body).await;
                *time = begun.elapsed().as_millis().min(*time);
                assert!([201, 409].contains(&answer.status), "{answer}");
            }
        }
        times
    };
    let mut seen = vec![];
    // A busy machine may favour one of them for a while, but not always.
    for _ in 0..5 {
        let times = quickest().await;
        println!("ms to refuse email, username and both, and to register: {times:?}");
        let [shortest, longest] = [times.iter().min(), times.iter().max()];
        if longest < shortest.map(|ms| ms * 5 / 4 + 8).as_ref() {
            app.finish().await;
            return;
        }
        seen.push(times);
    }
    panic!("{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_registrations_count_as_failures_of_their_network() {
    let app = behind_a_proxy().await;
    let stranger = app.anonymous().from(FLOOD);
    let body = account("ann@example.com", None);
    app.anonymous()
        .post("/auth/register", &body)
        .await
        .expect(201);
    let answers = join_all((0..FREE + 20).map(|_| stranger.post("/auth/register", &body))).await;
    let told = answers.iter().filter(|answer| answer.status == 409).count();
    assert!((FREE..FREE + 5).contains(&told), "{told}");
    // They are failures like any other: logins from there wait, too, but for those that came free meanwhile.
    let logins = (0..10).map(|number| {
        let login = json!({"login": format!("nobody{number}"), "password": "x"});
        let stranger = &stranger;
        async move { stranger.post("/auth/login", &login).await.status }
    });
    let statuses = join_all(logins).await;
    assert!(statuses.contains(&429), "{statuses:?}");
    let login = json!({"login": "ann@example.com", "password": "correct horse"});
    let elsewhere = app.anonymous().from(HOME);
    elsewhere.post("/auth/login", &login).await.expect(200);
    app.finish().await;
}

/// Two answers that brought tokens for the same account.
#[track_caller]
fn are_of_one_account(one: &Answer, other: &Answer) {
    let (one, other) = (one.json(), other.json());
    assert_eq!(one["user_id"], other["user_id"]);
    assert_ne!(one["refresh_token"], other["refresh_token"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_repeated_under_its_key_is_answered_for_the_same_account() {
    let app = behind_a_proxy().await;
    let admin = app.admin().await;
    let nobody = app.anonymous();
    let mut body = account("ann@example.com", Some("ann"));
    body["first_name"] = json!("Ann");
    logs::secret("correct horse");
    let first = nobody.post_once("key-1", "/auth/register", &body).await;
    let first = first.expect(201);
    // From elsewhere and by another spelling, too.
    for path in SPELLINGS {
        let again = nobody.from(HOME).post_once("key-1", path, &body).await;
        let again = again.expect(201);
        are_of_one_account(&first, &again);
        let mut ann = app.anonymous();
        ann.take_tokens(&again);
        ann.get("/orders").await.expect(200);
    }
    for (field, value) in [
        ("email", "bob@example.com"),
        ("username", "bob"),
        ("first_name", "Bob"),
        ("password", "another password"),
    ] {
        let mut other = body.clone();
        other[field] = json!(value);
        let answer = nobody.post_once("key-1", "/auth/register", &other).await;
        answer.refused(422, "idempotency-key-reused");
    }
    for answer in [
        nobody.post("/auth/register", &body).await,
        nobody.post_once("key-2", "/auth/register", &body).await,
    ] {
        answer.refused(409, "already-registered");
    }
    let too_long = "k".repeat(256);
    let refused = nobody.post_once(&too_long, "/auth/register", &body).await;
    refused.refused(422, "invalid-input");

    // Neither a token nor the request is stored.
    let kept = app
        .books()
        .rows("SELECT fingerprint || body FROM auth.idempotency")
        .join("\n");
    let tokens = first.json();
    for secret in [
        "correct horse",
        "example.com",
        tokens["access_token"].as_str().expect("a token"),
        tokens["refresh_token"].as_str().expect("a token"),
    ] {
        assert!(!kept.contains(secret), "{secret} in {kept}");
    }
    // A deleted account does not come back.
    let id = tokens["user_id"].as_str().expect("an id");
    admin.delete(&format!("/users/{id}")).await.expect(204);
    let later = nobody.post_once("key-1", "/auth/register", &body).await;
    assert_ne!(later.expect(201).json()["user_id"], id);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_repeated_registrations_at_once_all_get_the_one_account() {
    let app = App::start().await;
    let nobody = app.anonymous();
    let body = account("ann@example.com", None);
    let all = (0..8).map(|_| nobody.post_once("key", "/auth/register", &body));
    let answers = join_all(all).await;
    for answer in &answers {
        assert_eq!(answer.status, 201, "{answer}");
        assert_eq!(answer.json()["user_id"], answers[0].json()["user_id"]);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hosts_of_one_shop_have_one_queue_and_one_first_administrator() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (one, two) = (Process::start(folder.path()), Process::start(folder.path()));
    let tries = (0..40).map(async |number: usize| {
        let host = if number.is_multiple_of(2) { &one } else { &two };
        let nobody = Actor::anonymous(host.address());
        let body = account(&format!("c{number}@example.com"), None);
        nobody.post("/auth/register", &body).await.expect(201)
    });
    join_all(tries).await;
    let auth = crate::harness::surgery::open(&one.databases(), "auth");
    let number = |sql: &str| -> i64 {
        let row = auth.query_row(sql, [], |row| row.get(0));
        row.unwrap_or_else(|error| panic!("{sql}: {error}"))
    };
    assert_eq!(
        number("SELECT count(*) FROM accounts WHERE role = 'admin'"),
        1
    );
    assert_eq!(
        number("SELECT count(*) FROM audit WHERE kind = 'first_admin.made'"),
        1
    );
    assert_eq!(
        number("SELECT count(*) FROM hashing"),
        0,
        "nobody is left in the queue"
    );
}
