//! File modes: no other user of the machine may read tokens, password hashes or emails. New files get the right modes,
//! and the start corrects those of old files.

use crate::harness::actor::PLENTY;
use crate::harness::app::Address;
use crate::harness::process::{Process, said, signal, up};
use crate::harness::running::on_spin;
use crate::harness::{Actor, App, eventually, workspace};
use serde_json::json;
use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder and everything in it, except links, which have no mode of their own.
fn all(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let kind = entry.file_type().expect("a kind");
        if kind.is_dir() {
            found.extend(all(&entry.path()));
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    found
}

fn mode(path: &Path) -> u32 {
    let found = path.symlink_metadata().expect("there");
    found.permissions().mode() & 0o777
}

/// What has a wrong mode.
fn open_to_others(folder: &Path) -> Vec<String> {
    let found = all(folder).into_iter().map(|path| {
        let right = if path.is_dir() { 0o700 } else { 0o600 };
        (mode(&path) != right).then(|| format!("{:o} {}", mode(&path), path.display()))
    });
    found.flatten().collect()
}

/// Gives everything the modes that an earlier version used.
fn open_to_all(folder: &Path) {
    for path in all(folder) {
        let mode = if path.is_dir() { 0o755 } else { 0o644 };
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).expect("changed");
    }
}

/// Makes every service write.
async fn live(address: &Address, email: &str) {
    let ann = Actor::register(address, email).await;
    ann.deposit(PLENTY).await;
    ann.get("/orders").await.expect(200);
    let forgotten = json!({"email": email});
    ann.post("/auth/password/forgot", &forgotten)
        .await
        .expect(202);
    ann.patch("/users/me", &json!({"first_name": "Ann"}))
        .await
        .expect(200);
    let told = async || {
        let list = ann.get("/notifications").await.expect(200).data();
        (!list.is_empty()).then_some(())
    };
    eventually("a notification", told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_of_a_running_or_stopped_shop_is_open_to_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut shop = Process::start(folder.path());
    let data = shop.databases();
    live(shop.address(), "ann@example.com").await;
    let names: Vec<String> = all(&data)
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    for part in [
        "auth.db",
        "auth.db-wal",
        "auth.db-shm",
        "sqlite_key_value.db",
        "notes.db",
        "limits.db",
    ] {
        assert!(
            names.iter().any(|name| name.ends_with(part)),
            "no {part}: {names:?}"
        );
    }
    assert_eq!(open_to_others(&data), Vec::<String>::new(), "while it runs");
    shop.kill();
    assert_eq!(
        open_to_others(&data),
        Vec::<String>::new(),
        "after it was killed"
    );

    open_to_all(&data);
    shop.start_again();
    assert_eq!(
        open_to_others(&data),
        Vec::<String>::new(),
        "as soon as it serves again"
    );
    live(shop.address(), "bob@example.com").await;
    assert_eq!(
        open_to_others(&data),
        Vec::<String>::new(),
        "while it runs again"
    );
    signal(shop.id(), "TERM");
    eventually("its end", async || {
        let alive = std::fs::read_to_string(format!("/proc/{}/stat", shop.id()));
        let ended = alive.map_or(true, |stat| stat.contains(") Z "));
        ended.then_some(())
    })
    .await;
    assert_eq!(
        open_to_others(&data),
        Vec::<String>::new(),
        "after it was stopped"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_link_leads_to_is_left_alone() {
    let (folder, elsewhere) = (tempfile::tempdir(), tempfile::tempdir());
    let (folder, elsewhere) = (folder.expect("a folder"), elsewhere.expect("a folder"));
    let mut shop = Process::start(folder.path());
    shop.kill();
    let (file, other) = (
        elsewhere.path().join("public"),
        elsewhere.path().join("folder"),
    );
    std::fs::write(&file, "for all").expect("written");
    std::fs::create_dir(&other).expect("made");
    open_to_all(elsewhere.path());
    let data = shop.databases();
    for (name, to) in [
        ("backup.db", &file),
        ("sqlite_db.db", &file),
        ("backups", &other),
    ] {
        std::os::unix::fs::symlink(to, data.join(name)).expect("linked");
    }
    shop.start_again();
    assert_eq!((mode(&file), mode(&other)), (0o644, 0o755));
    assert_eq!(std::fs::read_to_string(&file).expect("readable"), "for all");
}

#[test]
fn a_folder_that_holds_more_than_the_shops_data_keeps_its_mode() {
    let folder = tempfile::tempdir().expect("a folder");
    let work = folder.path().join("work");
    std::fs::create_dir(&work).expect("made");
    let page = work.join("index.html");
    std::fs::write(&page, "for all").expect("written");
    open_to_all(&work);
    // The state folder is the one that it is started in. It opens its files, finds its port taken, and ends.
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let options = [("--state-dir", "."), ("--listen", &address)];
    let (status, output) = said(&mut up(&work, &options));
    assert_eq!(status, Some(1), "{output}");
    assert_eq!((mode(&work), mode(&page)), (0o755, 0o644));
    assert_eq!(mode(&work.join("sqlite_key_value.db")), 0o600);
    assert_eq!(mode(&work.join(".wasmart")), 0o700);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_within_a_program_keeps_its_files_from_others_too() {
    if on_spin() {
        println!("SKIPPED: {}: not on Spin", module_path!());
        return;
    }
    let mut app = App::start().await;
    live(app.address(), "ann@example.com").await;
    let data = app.databases();
    let state = data.with_file_name("state");
    assert_eq!(open_to_others(&data), Vec::<String>::new());
    assert_eq!(open_to_others(&state), Vec::<String>::new());
    app.restart_after(|_| {
        [&data, &state]
            .into_iter()
            .for_each(|folder| open_to_all(folder))
    })
    .await;
    assert_eq!(open_to_others(&data), Vec::<String>::new());
    assert_eq!(open_to_others(&state), Vec::<String>::new());
    app.finish().await;
}

#[test]
fn the_commands_for_keys_close_what_is_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let keys = folder.path().join("keys");
    wasmart_keys::KeySet::load_or_create(&keys).expect("made");
    for words in [["list"].as_slice(), &["rotate"], &["retire"]] {
        open_to_all(&keys);
        let mut command = Command::new(workspace::wasmart());
        let command = command.env_clear().arg("keys").args(words);
        let (status, output) = said(command.arg("--folder").arg(&keys));
        assert_eq!(status, Some(0), "{output}");
        assert_eq!(open_to_others(&keys), Vec::<String>::new(), "{words:?}");
    }
}
