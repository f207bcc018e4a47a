//! Profiles: one's own to read and to change.

use crate::harness::App;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_is_read_changed_and_replaced() {
    let app = App::start().await;
    let ann = app.customer().await;
    let me = ann.get("/users/me").await.expect(200).json();
    assert_eq!(
        (&me["id"], &me["email"]),
        (&json!(ann.id), &json!(ann.email))
    );
    let own = format!("/users/{}", ann.id);
    assert_eq!(
        ann.get(&own).await.expect(200).json()["id"],
        ann.id.as_str()
    );

    let changed = ann
        .patch(
            "/users/me",
            &json!({"first_name": "Ann", "phone": "+49 30 12345"}),
        )
        .await;
    assert_eq!(changed.expect(200).json()["first_name"], "Ann");
    let changed = ann
        .patch(&own, &json!({"phone": null, "language": "de"}))
        .await
        .expect(200)
        .json();
    assert!(changed.get("phone").is_none(), "{changed}");
    assert_eq!(
        (&changed["first_name"], &changed["language"]),
        (&json!("Ann"), &json!("de"))
    );

    let replaced = ann
        .put(&own, &json!({"last_name": "Lee"}))
        .await
        .expect(200)
        .json();
    assert_eq!(replaced["last_name"], "Lee");
    assert!(replaced.get("first_name").is_none() && replaced.get("language").is_none());
    assert_eq!(replaced["email"], ann.email.as_str());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_the_account_is_not_changed_through_the_profile() {
    let app = App::start().await;
    let ann = app.customer().await;
    for field in ["id", "email", "username", "role", "created_at", "balance"] {
        let refused = ann
            .patch("/users/me", &json!({field: "x"}))
            .await
            .refused(422, "invalid-input");
        assert_eq!(refused.fields(), [field]);
    }
    for (field, value) in [
        ("first_name", ""),
        ("last_name", "a\u{0}b"),
        ("phone", "call me"),
        ("language", "english, please"),
    ] {
        let refused = ann
            .patch("/users/me", &json!({field: value}))
            .await
            .refused(422, "invalid-input");
        assert_eq!(refused.fields(), [field]);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_sees_and_deletes_any_profile() {
    let app = App::start().await;
    let (admin, ann) = (app.admin().await, app.customer().await);
    app.quiet().await;
    let path = format!("/users/{}", ann.id);
    assert_eq!(
        admin.get(&path).await.expect(200).json()["email"],
        ann.email.as_str()
    );
    admin.delete(&path).await.expect(204);
    admin.get(&path).await.refused(404, "not-found");
    ann.get("/users/me").await.refused(401, "revoked-token");
    app.finish().await;
}
