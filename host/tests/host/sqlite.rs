//! Databases: private transactions, pooled connections that remember nothing, errors that surface.

use serde_json::json;

use crate::app::App;

const GRANT: &str = "sqlite_databases = ['default']";

#[tokio::test]
async fn rows_values_changes_and_ids_come_back() {
    let app = App::new(GRANT).start().await;
    let answer = app
        .sql(
            "default",
            "CREATE TABLE t (a, b)\nINSERT INTO t VALUES (1, 'x'), (2.5, x'0102'), (NULL, '')",
        )
        .await
        .unwrap();
    assert_eq!((&answer["changes"], &answer["id"]), (&json!(3), &json!(3)));
    let answer = app.sql("default", "SELECT * FROM t").await.unwrap();
    assert_eq!(answer["rows"], json!([[1, "x"], [2.5, [1, 2]], [null, ""]]));
    assert_eq!(
        (&answer["changes"], &answer["id"]),
        (&json!(0), &json!(0)),
        "a new handle"
    );
    assert!(
        app.app.folder.path().join("state/sqlite_db.db").exists(),
        "Spin's place for it"
    );
}

#[tokio::test]
async fn a_transaction_is_private_and_dies_with_its_handle() {
    let app = App::new(GRANT).start().await;
    app.sql("default", "PRAGMA journal_mode = WAL\nCREATE TABLE t (a)")
        .await
        .unwrap();
    let inside = app
        .sql(
            "default",
            "BEGIN\nINSERT INTO t VALUES (1)\nSELECT * FROM t",
        )
        .await
        .unwrap();
    assert_eq!(inside["rows"], json!([[1]]));
    let outside = app.sql("default", "SELECT * FROM t").await.unwrap();
    assert_eq!(outside["rows"], json!([]));
    // Not "within a transaction": the connection was rolled back before it was given out again.
    for _ in 0..20 {
        app.sql(
            "default",
            "BEGIN IMMEDIATE\nINSERT INTO t VALUES (2)\nCOMMIT",
        )
        .await
        .unwrap();
    }
    assert_eq!(
        app.sql("default", "SELECT count(*) FROM t").await.unwrap()["rows"],
        json!([[20]])
    );
}

#[tokio::test]
async fn errors_surface_with_sqlites_text() {
    let app = App::new(GRANT).start().await;
    let run = async |sql: &'static str| app.sql("default", sql).await.unwrap_err();
    assert!(run("SELEC 1").await.contains("syntax error"));
    assert!(
        run("SELECT * FROM missing")
            .await
            .contains("no such table: missing")
    );
    app.sql(
        "default",
        "CREATE TABLE u (a PRIMARY KEY)\nINSERT INTO u VALUES (1)",
    )
    .await
    .unwrap();
    assert!(
        run("INSERT INTO u VALUES (1)")
            .await
            .contains("UNIQUE constraint failed: u.a")
    );
    assert!(run("SELECT ?1").await.contains("parameter"));
    assert!(
        run("ATTACH 'other.db' AS o")
            .await
            .contains("not authorized")
    );
    let bytes = wasmart_host::limits::RESULT_BYTES;
    let large = run("SELECT zeroblob(20000000) UNION ALL SELECT zeroblob(20000001)").await;
    assert!(
        large.contains(&format!("exceeds limit of {bytes} bytes")),
        "{large}"
    );
}

#[tokio::test]
async fn databases_have_their_places() {
    let app = App::new("sqlite_databases = ['file', 'memory']")
        .with_runtime_config("[sqlite_database.file]\ntype = 'spin'\npath = 'sub/file.db'")
        .with_runtime_config("[sqlite_database.memory]\ntype = 'spin'")
        .start()
        .await;
    app.sql("file", "CREATE TABLE t (a)").await.unwrap();
    assert!(app.app.folder.path().join("sub/file.db").exists());
    app.sql("memory", "CREATE TABLE t (a)").await.unwrap();
    let error = app.sql("memory", "SELECT * FROM t").await.unwrap_err();
    assert!(
        error.contains("no such table"),
        "each handle has its own: {error}"
    );
}
