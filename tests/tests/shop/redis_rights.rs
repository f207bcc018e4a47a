//! A Redis server with TLS and users: what docs/redis.md tells an operator to do is enough for the shop, and allows nothing else.

use crate::harness::actor::PLENTY;
use crate::harness::app::{ADMIN, check_when_quiet};
use crate::harness::process::Process;
use crate::harness::redis::{RedisServer, free_port, may, publish};
use crate::harness::{Actor, eventually, logs, workspace};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use std::path::Path;
use tempfile::TempDir;

/// Everything that has a meaning in a URL.
const PASSWORD: &str = "p@ss:w/rd#1?100%-of-it";
const ENCODED: &str = "p%40ss%3Aw%2Frd%231%3F100%25-of-it";
/// The test's own, who may ask the server for the others' rights.
const OVERSEER: (&str, &str) = ("overseer", "the-overseers-password");

const CHANNELS: [&str; 7] = [
    "stock_changes",
    "stock_changes_status",
    "payments",
    "payments_status",
    "notifications",
    "accounts",
    "acks",
];

/// The lines between two marks in docs/redis.md, with a real password.
fn rights(mark: &str) -> String {
    let manual = std::fs::read_to_string(workspace::root().join("docs/redis.md"));
    let manual = manual.expect("docs/redis.md");
    let (begin, end) = (
        format!("<!-- {mark}:begin -->"),
        format!("<!-- {mark}:end -->"),
    );
    let block = manual
        .split(&begin)
        .nth(1)
        .and_then(|rest| rest.split(&end).next());
    let lines = block.expect("the lines").lines();
    let users: Vec<&str> = lines.filter(|line| line.starts_with("user ")).collect();
    assert!(!users.is_empty(), "no users in {block:?}");
    users.join("\n").replace("PASSWORD", PASSWORD) + "\n"
}

/// A server with these users and a certificate for `localhost`, and the authority that signed it.
struct Secured {
    server: RedisServer,
    tls_port: u16,
    folder: TempDir,
}

impl Secured {
    fn start(test: &str, users: &str) -> Option<Secured> {
        let folder = tempfile::tempdir().expect("a folder");
        certificates(folder.path());
        let overseer = format!(
            "user {} on >{} allkeys allchannels +@all\n",
            OVERSEER.0, OVERSEER.1
        );
        std::fs::write(
            folder.path().join("users.acl"),
            format!("{users}{overseer}"),
        )
        .expect("written");
        let path = |name: &str| {
            folder
                .path()
                .join(name)
                .to_str()
                .expect("readable")
                .to_owned()
        };
        let tls_port = free_port();
        let server = RedisServer::start_with(
            test,
            &[
                "--aclfile",
                &path("users.acl"),
                "--tls-port",
                &tls_port.to_string(),
                "--tls-cert-file",
                &path("server.pem"),
                "--tls-key-file",
                &path("server.key"),
                "--tls-ca-cert-file",
                &path("authority.pem"),
                "--tls-auth-clients",
                "no",
            ],
        )?;
        logs::secret(PASSWORD);
        logs::secret(ENCODED);
        Some(Secured {
            server,
            tls_port,
            folder,
        })
    }

    /// `wasmart up` with this login at this host, believing this authority.
    fn shop(&self, folder: &Path, login: &str, host: &str, authority: &str) -> Process {
        let url = format!("rediss://{login}@{host}:{}/", self.tls_port);
        let authority = self.folder.path().join(authority);
        let authority = format!("SSL_CERT_FILE={}", authority.display());
        let wrapper = ["/usr/bin/env", &authority];
        let options = ["--redis", &url, "--variable", "synchronous=NORMAL"];
        Process::start_through(&wrapper, folder, &options)
    }

    fn may(&self, user: &str, command: &[&str]) -> bool {
        let answer = may(&self.server.url(), OVERSEER, user, command);
        answer.unwrap_or_else(|error| panic!("{user} {command:?}: {error}"))
    }
}

/// A certificate for `localhost` from one authority, and another authority that has nothing to do with it.
fn certificates(folder: &Path) {
    let write =
        |name: &str, text: String| std::fs::write(folder.join(name), text).expect("written");
    let (_, stranger) = authority("stranger");
    write("stranger.pem", stranger);
    let (authority, certificate) = authority("authority");
    write("authority.pem", certificate);
    let key = KeyPair::generate().expect("a key");
    let mut server = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
    server
        .distinguished_name
        .push(DnType::CommonName, "localhost");
    let certificate = server.signed_by(&key, &authority).expect("signed");
    write("server.pem", certificate.pem());
    write("server.key", key.serialize_pem());
}

/// An authority, and its certificate.
fn authority(name: &str) -> (Issuer<'static, KeyPair>, String) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec![]).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let certificate = params.self_signed(&key).expect("signed").pem();
    (Issuer::new(params, key), certificate)
}

#[tokio::test(flavor = "multi_thread")]
async fn with_tls_and_the_rights_of_the_manual_the_shop_does_all_its_business() {
    let Some(redis) = Secured::start(module_path!(), &rights("rights")) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let login = format!("wasmart:{ENCODED}");
    let shop = redis.shop(folder.path(), &login, "localhost", "authority.pem");
    let admin = Actor::log_in(shop.address(), ADMIN.0, ADMIN.1).await;
    let tea = admin.sell("Tea", 100, 10).await;
    let ann = Actor::register(shop.address(), "ann@example.com").await;
    ann.deposit(PLENTY).await;
    let order = ann.order(&tea, 2).await;
    ann.wait_for(&order, "paid").await;
    ann.execute(&order, "cancel").await.expect(200);
    ann.wait_for(&order, "canceled").await;
    ann.told(4).await;
    ann.delete("/users/me").await;
    check_when_quiet(&shop.databases(), 0).await;
    let log = shop.log();
    assert!(
        log.contains("subscribed to Redis") && log.contains("rediss://…@localhost"),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shops_user_may_do_nothing_else() {
    let Some(redis) = Secured::start(module_path!(), &rights("rights")) else {
        return;
    };
    for channel in CHANNELS {
        assert!(
            redis.may("wasmart", &["PUBLISH", channel, "x"]),
            "{channel}"
        );
        assert!(redis.may("wasmart", &["SUBSCRIBE", channel]), "{channel}");
    }
    for refused in [
        &["PUBLISH", "elsewhere", "x"][..],
        &["PUBLISH", "stock_changes2", "x"],
        &["SUBSCRIBE", "elsewhere"],
        &["SUBSCRIBE", "acks", "elsewhere"],
        &["PSUBSCRIBE", "*"],
        &["PUBSUB", "CHANNELS"],
        &["KEYS", "*"],
        &["GET", "acks"],
        &["SET", "acks", "x"],
        &["DEL", "acks"],
        &["FLUSHALL"],
        &["CONFIG", "GET", "*"],
        &["CONFIG", "SET", "dir", "/tmp"],
        &["ACL", "LIST"],
        &["CLIENT", "LIST"],
        &["MONITOR"],
        &["DEBUG", "SLEEP", "1"],
        &["EVAL", "return 1", "0"],
        &["REPLICAOF", "127.0.0.1", "1"],
        &["SHUTDOWN"],
        &["SELECT", "1"],
    ] {
        assert!(!redis.may("wasmart", refused), "{refused:?}");
    }
    // Nor does anybody else: without a login, nothing.
    let stranger = publish(&redis.server.url(), "acks", b"x");
    assert!(stranger.is_err_and(|error| error.to_string().contains("NOAUTH")));
}

/// Who sends on each channel, and who listens.
const USES: [(&str, &[&str], &[&str]); 7] = [
    ("stock_changes", &["orders"], &["stock"]),
    ("stock_changes_status", &["stock"], &["orders"]),
    ("payments", &["orders"], &["billing"]),
    ("payments_status", &["billing"], &["orders"]),
    (
        "notifications",
        &["orders", "billing", "auth"],
        &["notifications"],
    ),
    (
        "accounts",
        &["auth", "orders"],
        &["users", "billing", "orders", "notifications"],
    ),
    (
        "acks",
        &["users", "stock", "billing", "orders", "notifications"],
        &["auth", "billing", "orders"],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_component_with_a_user_of_its_own_speaks_and_listens_only_where_it_must() {
    let Some(redis) = Secured::start(module_path!(), &rights("component-rights")) else {
        return;
    };
    for component in [
        "auth",
        "users",
        "stock",
        "billing",
        "orders",
        "notifications",
    ] {
        for (channel, senders, listeners) in USES {
            let sends = redis.may(component, &["PUBLISH", channel, "x"]);
            assert_eq!(
                sends,
                senders.contains(&component),
                "{component} sends on {channel}"
            );
            let listens = redis.may(component, &["SUBSCRIBE", channel]);
            assert_eq!(
                listens,
                listeners.contains(&component),
                "{component} listens to {channel}"
            );
        }
        for refused in [
            &["KEYS", "*"][..],
            &["PUBLISH", "elsewhere", "x"],
            &["FLUSHALL"],
        ] {
            assert!(!redis.may(component, refused), "{component} {refused:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_can_not_prove_who_it_is_gets_no_password_and_no_log_shows_it() {
    let Some(redis) = Secured::start(module_path!(), &rights("rights")) else {
        return;
    };
    let right = format!("wasmart:{ENCODED}");
    let wrong = format!("wasmart:not-{ENCODED}");
    for (login, host, authority, why) in [
        (&right, "localhost", "stranger.pem", "UnknownIssuer"),
        (&right, "127.0.0.1", "authority.pem", "not valid for name"),
        (
            &wrong,
            "localhost",
            "authority.pem",
            "authentication failed",
        ),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let shop = redis.shop(folder.path(), login, host, authority);
        let log = eventually("a line about Redis", async || {
            let log = shop.log();
            log.contains("Redis is not reachable").then_some(log)
        })
        .await;
        assert!(log.contains(why), "{why} is not in:\n{log}");
        assert!(!log.contains("subscribed"), "{log}");
        // A request that publishes fails there too, and says as little.
        let admin = Actor::log_in(shop.address(), ADMIN.0, ADMIN.1).await;
        admin.deposit(1).await;
        assert_eq!(logs::told(&shop.log()), [""; 0]);
    }
}
