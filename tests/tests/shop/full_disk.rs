//! The disk is full, or a database may only be read: the shop says that it is at fault and nothing of
//! its inside, does nothing by halves, and goes on by itself once there is room again.
//!
//! A limit on the size of files stands in for the full disk: it needs no rights and no mount, and the
//! kernel refuses the same writes.

use crate::harness::actor::{PLENTY, order_of};
use crate::harness::app::{ADMIN, check_when_quiet};
use crate::harness::books::Books;
use crate::harness::process::Process;
use crate::harness::{Actor, Answer};
use futures::future::join_all;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Past the limit a process is sent SIGXFSZ and, if it ignores that, told so by the write.
const IGNORING: [&str; 4] = ["/bin/sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"];
/// Root may write what is read-only, unless it gives that right up.
const WITHOUT_RIGHTS: [&str; 3] = [
    "/usr/bin/setpriv",
    "--bounding-set",
    "-dac_override,-dac_read_search",
];

/// No file of the process may be written past this many bytes; none: as long as there is room.
fn limit(process: &Process, bytes: Option<u64>) {
    let bytes = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
    let limited = Command::new("prlimit")
        .args(["--pid", &process.id().to_string()])
        .arg(format!("--fsize={bytes}:unlimited"))
        .status();
    assert!(limited.is_ok_and(|status| status.success()), "prlimit");
}

/// An order under a key, whatever comes of it.
async fn try_to_order(buyer: &Actor, key: &str, item: &str) -> Answer {
    let request = buyer.request("POST", "/orders");
    let request = request.header("idempotency-key", key);
    let answer = buyer
        .send_unchecked(request.json(&order_of(&[(item, 1)])))
        .await;
    assert!([201, 500, 503].contains(&answer.status), "{answer}");
    answer.well_formed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_owned_up_to_and_survived() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let options = ["--variable", "synchronous=NORMAL"];
    let mut shop = Process::start_through(&IGNORING, folder.path(), &options);
    let admin = Actor::log_in(shop.address(), ADMIN.0, ADMIN.1).await;
    let tea = admin.sell("Tea", 10, 1_000).await;
    let ann = Actor::register(shop.address(), "ann@example.com").await;
    ann.deposit(PLENTY).await;
    let paid = ann.order(&tea, 1).await;
    ann.wait_for(&paid, "paid").await;
    check_when_quiet(&shop.databases(), 0).await;

    // With nothing at all left, no order is taken, and none is half there.
    let number =
        |what: &str| Books::open(&shop.databases()).number(&format!("SELECT count(*) FROM {what}"));
    let before = (number("orders.orders"), number("orders.outbox"));
    limit(&shop, Some(0));
    for key in 0..6 {
        let answer = try_to_order(&ann, &format!("k{key}"), &tea).await;
        assert_ne!(answer.status, 201, "{answer}");
    }
    assert_eq!((number("orders.orders"), number("orders.outbox")), before);
    // What needs no room still works.
    assert_eq!(ann.read_order(&paid).await["status"], "paid");
    assert_eq!(ann.balance().await, PLENTY - 10);

    // Then it is full for moments only, so that every writer is met somewhere, also a participant in the
    // middle of a saga: by turns there is room for some things and none for others.
    let all_answered = AtomicBool::new(false);
    let full = async {
        for moment in 0.. {
            if all_answered.load(Ordering::Relaxed) {
                break;
            }
            limit(&shop, (moment % 2 == 0).then_some(0));
            tokio::time::sleep(Duration::from_millis(5 + moment * 7 % 20)).await;
        }
    };
    let keys = 60;
    let order = async |key: i64| {
        tokio::time::sleep(Duration::from_millis(10 * key.unsigned_abs())).await;
        try_to_order(&ann, &format!("k{key}"), &tea).await.status
    };
    let orders = async {
        let answers = join_all((0..keys).map(order)).await;
        all_answered.store(true, Ordering::Relaxed);
        answers
    };
    let (answers, ()) = futures::join!(orders, full);
    let taken = answers.iter().filter(|status| **status == 201).count();
    assert!((5..55).contains(&taken), "{taken} of {keys} were taken");
    // Nobody noticed but the clients: the process is the same.
    limit(&shop, None);
    for key in 0..keys {
        let order = ann.order_once(&format!("k{key}"), &tea).await;
        ann.wait_for(&order, "paid").await;
    }
    check_when_quiet(&shop.databases(), 0).await;
    assert_eq!(number("orders.orders"), keys + 1, "one order for each key");
    assert_eq!(ann.balance().await, PLENTY - 10 * (keys + 1));
    shop.kill();
    shop.start_again();
    assert_eq!(admin.item(&tea).await["reserved"], keys + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_may_only_be_read_is_read_and_nothing_is_half_done() {
    let wrapper: &[&str] = if is_root() { &WITHOUT_RIGHTS } else { &[] };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut shop = Process::start_through(wrapper, folder.path(), &[]);
    let admin = Actor::log_in(shop.address(), ADMIN.0, ADMIN.1).await;
    let tea = admin.sell("Tea", 10, 1_000).await;
    let ann = Actor::register(shop.address(), "ann@example.com").await;
    ann.deposit(PLENTY).await;
    check_when_quiet(&shop.databases(), 0).await;

    // Billing can't write: orders are taken and wait for their charge.
    set_read_only(&mut shop, "billing", true);
    let waiting = ann.order_once("w1", &tea).await;
    let balance = ann.balance().await;
    let refused = ann.request("POST", "/billing/account/deposit");
    let refused = refused.json(&serde_json::json!({"amount": 5}));
    let answer = ann.send_unchecked(refused).await.well_formed();
    assert!([500, 503].contains(&answer.status), "{answer}");
    crate::harness::eventually("the charge is waited for", async || {
        (ann.read_order(&waiting).await["saga"] == "charging").then_some(())
    })
    .await;
    assert_eq!(ann.balance().await, balance);

    // Orders can't write: none is taken, what is there can be read.
    set_read_only(&mut shop, "billing", false);
    ann.wait_for(&waiting, "paid").await;
    set_read_only(&mut shop, "orders", true);
    for key in 0..3 {
        let answer = try_to_order(&ann, &format!("k{key}"), &tea).await;
        assert_ne!(answer.status, 201, "{answer}");
    }
    assert_eq!(ann.read_order(&waiting).await["status"], "paid");

    set_read_only(&mut shop, "orders", false);
    for key in 0..3 {
        let order = ann.order_once(&format!("k{key}"), &tea).await;
        ann.wait_for(&order, "paid").await;
    }
    check_when_quiet(&shop.databases(), 0).await;
    assert_eq!(ann.balance().await, PLENTY - 4 * 10);
}

/// Changes the rights on a database between two lives of the shop: an open file keeps its rights.
fn set_read_only(shop: &mut Process, service: &str, read_only: bool) {
    shop.kill();
    let mode = if read_only { 0o444 } else { 0o644 };
    for end in ["db", "db-wal", "db-shm"] {
        let path = shop.databases().join(format!("{service}.{end}"));
        if path.exists() {
            let rights = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(path, rights).expect("it is ours");
        }
    }
    shop.start_again();
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id runs");
    id.stdout.trim_ascii() == b"0"
}
