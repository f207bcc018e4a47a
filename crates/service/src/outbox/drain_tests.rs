//! The statements of the drain, on the schema that every service has: what the fence stops, what goes
//! first, and that each finds its rows by an index.

use super::*;
use crate::outbox::lease::statements::{HOLDS, LOOK, RELEASE, TAKE};
use rusqlite::types::Value;
use rusqlite::{Connection, Params, params};

const DAY_MS: i64 = 86_400_000;
const NOW: i64 = 100 * DAY_MS;

fn database() -> Connection {
    let database = Connection::open_in_memory().expect("memory");
    let schema = [
        include_str!("../db/common.sql"),
        include_str!("../db/outbox_rate.sql"),
    ];
    for sql in schema {
        database.execute_batch(sql).expect("the schema");
    }
    database
}

/// Rows `prefix0`, `prefix1` …
fn fill(database: &Connection, prefix: &str, count: i64, attempts: i64, next: i64) {
    let sql = "INSERT INTO outbox (id, channel, event, created_at, attempts, next_attempt_at)
        VALUES (?, 'c', '{}', 0, ?, ?)";
    for n in 0..count {
        let id = format!("{prefix}{n}");
        database
            .execute(sql, params![id, attempts, next])
            .expect("inserted");
    }
}

fn rows(database: &Connection, sql: &str, params: impl Params) -> Vec<Vec<Value>> {
    let mut statement = database.prepare(sql).expect(sql);
    let columns = statement.column_count();
    let rows = statement.query_map(params, |row| (0..columns).map(|n| row.get(n)).collect());
    rows.expect(sql).map(|row| row.expect(sql)).collect()
}

fn ids(rows: &[Vec<Value>]) -> Vec<String> {
    let text = |row: &Vec<Value>| match &row[0] {
        Value::Text(text) => text.clone(),
        other => panic!("{other:?} is no id"),
    };
    rows.iter().map(text).collect()
}

/// Takes the lease and gives its fencing number.
fn take(database: &Connection, now: i64) -> Option<i64> {
    let taken = rows(
        database,
        TAKE,
        params![now + 5_000, now, now + 5_000 + 60_000],
    );
    taken.first().map(|row| match row[0] {
        Value::Integer(fence) => fence,
        _ => panic!("{row:?}"),
    })
}

fn next(ids: &[&str]) -> String {
    let next: Vec<(&str, i64)> = ids.iter().map(|id| (*id, NOW + 1_000)).collect();
    serde_json::to_string(&next).expect("JSON")
}

#[test]
fn a_holder_that_was_passed_over_marks_nothing_and_lets_go_of_nothing() {
    let database = database();
    fill(&database, "a", 2, 0, NOW);
    let paused = take(&database, NOW).expect("free");
    assert_eq!(take(&database, NOW + 4_999), None, "held");
    let holder = take(&database, NOW + 5_000).expect("its time is over");

    let both = next(&["a0", "a1"]);
    assert!(rows(&database, MARK, params![both, paused]).is_empty());
    assert!(rows(&database, HOLDS, params![paused]).is_empty());
    rows(&database, UNMARK, params![both, paused]);
    rows(&database, FIND_ASTRAY, params![NOW, 0, paused]);
    rows(&database, RELEASE, params![paused, 0, 0, 0]);
    assert_eq!(take(&database, NOW + 5_001), None, "still the other's");
    let untouched = "SELECT id FROM outbox WHERE attempts = 0 AND next_attempt_at = ?";
    assert_eq!(rows(&database, untouched, [NOW]).len(), 2);

    // A row that is answered in between is not sent.
    database
        .execute("DELETE FROM outbox WHERE id = 'a0'", [])
        .expect("deleted");
    let marked = rows(&database, MARK, params![both, holder]);
    assert_eq!(ids(&marked), ["a1"]);
    assert_eq!(rows(&database, HOLDS, params![holder]).len(), 1);
    rows(&database, RELEASE, params![holder, 0, NOW, 7]);
    assert!(take(&database, NOW + 5_001).is_some());
}

#[test]
fn a_lease_from_before_the_clock_was_set_back_is_over() {
    let database = database();
    take(&database, NOW).expect("free");
    assert!(take(&database, NOW - DAY_MS).is_some());
    // But not one of a host whose clock is a little ahead.
    assert!(take(&database, NOW - DAY_MS - 30_000).is_none());
}

#[test]
fn what_is_new_goes_first_in_the_order_it_came() {
    let database = database();
    fill(&database, "old", 1_000, 3, 5);
    fill(&database, "z", 2, 0, NOW);
    // A clock that was set back dates what comes next earlier; it still comes next.
    fill(&database, "a", 2, 0, NOW - DAY_MS);
    // And one that was set forward for a moment does not make it wait.
    fill(&database, "m", 1, 0, NOW + DAY_MS);
    let first = rows(&database, FIRST, params![200]);
    assert_eq!(ids(&first), ["z0", "z1", "a0", "a1", "m0"]);
    assert_eq!(rows(&database, AGAIN, params![NOW, 200]).len(), 200);
    assert!(rows(&database, AGAIN, params![NOW, 0]).is_empty());
}

#[test]
fn rows_that_wait_for_a_day_that_never_comes_are_found() {
    let database = database();
    fill(&database, "lost", 3, 2, NOW + DAY_MS);
    fill(&database, "waits", 3, 6, NOW + 75_000);
    let fence = take(&database, NOW).expect("free");
    let look = |database: &Connection| {
        let seen = rows(database, LOOK, params![NOW, astray_from(NOW)]).remove(0);
        (seen[3].clone(), seen[4].clone(), seen[5].clone())
    };
    let (yes, no) = (Value::Integer(1), Value::Integer(0));
    assert_eq!(look(&database), (no.clone(), no.clone(), yes.clone()));
    rows(
        &database,
        FIND_ASTRAY,
        params![NOW, astray_from(NOW), fence],
    );
    assert_eq!(look(&database), (no.clone(), yes, no));
    let found = rows(&database, AGAIN, params![NOW, 200]);
    assert_eq!(ids(&found), ["lost0", "lost1", "lost2"]);
}

#[test]
fn what_redis_did_not_take_is_no_first_sending_any_more() {
    let database = database();
    fill(&database, "new", 1, 0, NOW);
    fill(&database, "old", 1, 4, NOW);
    let fence = take(&database, NOW).expect("free");
    let both = next(&["new0", "old0"]);
    rows(&database, MARK, params![both, fence]);
    rows(&database, UNMARK, params![both, fence]);
    let attempts = rows(&database, "SELECT attempts FROM outbox ORDER BY id", []);
    assert_eq!(attempts, [[Value::Integer(1)], [Value::Integer(4)]]);
}

#[test]
fn every_statement_finds_its_rows_by_an_index() {
    let database = database();
    for (sql, count) in [
        (FIRST, 1),
        (AGAIN, 2),
        (FIND_ASTRAY, 3),
        (LOOK, 2),
        (MARK, 2),
    ] {
        let values = vec![Value::Integer(1); count];
        let params = rusqlite::params_from_iter(values);
        let plan = rows(&database, &format!("EXPLAIN QUERY PLAN {sql}"), params);
        let steps: Vec<String> = plan.iter().map(|row| format!("{:?}", row[3])).collect();
        let slow = |step: &String| {
            step.contains("TEMP B-TREE")
                || (step.contains("SCAN outbox") && !step.contains("USING"))
        };
        assert!(!steps.iter().any(slow), "{sql}\n{steps:#?}");
    }
}
