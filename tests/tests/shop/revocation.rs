//! Revoked tokens and accounts stay revoked when the key-value store is lost but the database is not: somebody deletes the
//! store or restores an older copy, or a power cut takes its last writes.

use crate::harness::issuer::{CLIENT, Issuer};
use crate::harness::{Actor, App, eventually};
use serde_json::json;
use std::path::{Path, PathBuf};

const GUARDED: [&str; 5] = [
    "/users/me",
    "/billing/account/my",
    "/orders",
    "/notifications",
    "/auth/check",
];

/// The files of the store that has the revocations, beside the folder of the databases.
fn store(databases: &Path) -> [PathBuf; 3] {
    let state = databases.with_file_name("state");
    ["", "-wal", "-shm"].map(|end| state.join(format!("sqlite_key_value.db{end}")))
}

fn delete(databases: &Path) {
    let [file, ..] = store(databases);
    assert!(file.exists(), "no store at {}", file.display());
    for path in store(databases) {
        std::fs::remove_file(path).ok();
    }
}

fn copy(from: &[PathBuf; 3], to: &[PathBuf; 3]) {
    for (from, to) in from.iter().zip(to) {
        std::fs::remove_file(to).ok();
        std::fs::copy(from, to).ok();
    }
}

async fn is_refused(actor: &Actor) {
    for path in GUARDED {
        actor.get(path).await.refused(401, "revoked-token");
    }
}

async fn is_let_in(actor: &Actor) {
    for path in GUARDED {
        actor.get(path).await.expect(200);
    }
}

/// Waits until every revocation is sealed.
async fn sealed(app: &App) {
    let left = "SELECT count(*) FROM auth.access_tokens WHERE revoked_at IS NOT NULL AND sealed_at IS NULL";
    eventually("the seal", async || {
        (app.books().number(left) == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_deleted_does_not_revive_a_token() {
    let mut app = App::start().await;
    let (gone, out, left) = (
        app.customer().await,
        app.customer().await,
        app.customer().await,
    );
    let admin = app.admin().await;
    let closed = app.customer().await;
    for actor in [&gone, &out, &left, &closed] {
        is_let_in(actor).await;
    }
    gone.delete("/users/me").await.expect(204);
    out.send(out.request("POST", "/auth/logout"))
        .await
        .expect(204);
    let path = format!("/auth/users/{}/disable", closed.id);
    admin.post(&path, &json!({})).await.expect(200);
    sealed(&app).await;
    for _ in 0..2 {
        app.restart_after(delete).await;
        // From the first request on, before the first tick.
        for actor in [&gone, &out, &closed] {
            is_refused(actor).await;
        }
        is_let_in(&left).await;
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_has_lost_its_last_writes_is_told_them_again() {
    let mut app = App::start().await;
    let (early, late) = (app.customer().await, app.customer().await);
    let left = app.customer().await;
    early
        .send(early.request("POST", "/auth/logout"))
        .await
        .expect(204);
    sealed(&app).await;
    let folder = tempfile::tempdir().expect("a folder");
    let kept = store(&folder.path().join("databases"));
    std::fs::create_dir(folder.path().join("state")).expect("made");
    let before = kept.clone();
    app.restart_after(|databases| copy(&store(databases), &before))
        .await;
    is_let_in(&late).await;
    late.send(late.request("POST", "/auth/logout"))
        .await
        .expect(204);
    is_refused(&late).await;
    sealed(&app).await;
    app.restart_after(|databases| copy(&kept, &store(databases)))
        .await;
    // After the next tick at the latest: until then the store looks complete.
    eventually("the revocation", async || {
        let answer = late.get("/orders").await;
        (answer.status == 401).then_some(())
    })
    .await;
    for actor in [&early, &late] {
        is_refused(actor).await;
    }
    is_let_in(&left).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_of_other_issuers_stay_closed_when_the_store_is_deleted() {
    let issuer = Issuer::start().await;
    let entry = json!([{"issuer": issuer.url(), "audience": CLIENT, "azp": "web"}]).to_string();
    let variables = [
        ("trusted_issuers", entry.as_str()),
        ("issuer_host_b", issuer.url()),
        ("issuer_refetch_seconds", "1"),
    ];
    let mut app = App::start_with(&variables).await;
    let bearer = |app: &App| {
        let mut actor = app.anonymous();
        actor.token = Some(issuer.access_token(json!({})));
        actor
    };
    let (ann, later) = (bearer(&app), bearer(&app));
    is_let_in(&ann).await;
    ann.delete("/users/me").await.expect(204);
    is_refused(&ann).await;
    app.restart_after(delete).await;
    for actor in [ann, later, bearer(&app)] {
        is_refused(&actor).await;
    }
    app.finish().await;
}
