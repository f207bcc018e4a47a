//! Paths and queries whose bytes are not text, and ids in odd spellings.

use crate::harness::App;

#[tokio::test(flavor = "multi_thread")]
async fn a_path_with_odd_bytes_names_nothing() {
    let app = App::start().await;
    let customer = app.customer().await;
    let item = app.admin().await.sell("Tea", 100, 1).await;
    for odd in [
        "%FF",
        "%00",
        "%C3%28",
        "%ED%A0%80",
        "%2F",
        "%2e%2e%2f",
        "%E2%80%8B",
        "a%0Ab",
    ] {
        for path in [
            format!("/items/{odd}"),
            format!("/items/{item}{odd}"),
            format!("/items/{odd}/movements"),
            format!("/orders/{odd}"),
            format!("/orders/{odd}/events"),
            format!("/auth/{odd}/login"),
            format!("/auth/{odd}/callback"),
        ] {
            let answer = customer.get(&path).await;
            // A caller who may not see movements gets 403, whatever the item.
            let is_right = [403, 404].contains(&answer.status);
            assert!(is_right, "{answer}");
        }
    }
    // One id in its other spellings is that id.
    for spelling in [
        item.to_uppercase(),
        item.replace('-', ""),
        format!("%7B{item}%7D"),
    ] {
        let found = customer
            .get(&format!("/items/{spelling}"))
            .await
            .expect(200)
            .json();
        assert_eq!(found["id"], item.as_str(), "{spelling}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_not_text_are_refused_in_a_search() {
    let app = App::start().await;
    let admin = app.admin().await;
    for odd in ["%FF", "%C3%28", "%ED%A0%80", "%00", "a%0Ab", "%F4%90%80%80"] {
        for (path, field) in [("/items?q=", "q"), ("/auth/users?search=", "search")] {
            let refused = admin
                .get(&format!("{path}{odd}"))
                .await
                .refused(422, "invalid-input");
            assert_eq!(refused.fields(), [field], "{path}{odd}");
        }
    }
    // A plus is a space, in a query only.
    admin.sell("Green tea", 100, 1).await;
    for (query, count) in [
        ("green+tea", 1),
        ("green%20tea", 1),
        ("green%2Btea", 0),
        ("green%2520tea", 0),
    ] {
        let found = admin.get(&format!("/items?q={query}")).await.expect(200);
        assert_eq!(found.data().len(), count, "{query}");
    }
    app.finish().await;
}
