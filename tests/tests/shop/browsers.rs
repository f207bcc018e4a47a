//! What a browser is told: whose pages may read answers, what answers are good for, and that a cookie works for
//! pages of the shop only.

use crate::harness::{Actor, Answer, App};
use serde_json::json;

const FRIEND: &str = "https://app.example.com";
const STRANGER: &str = "https://evil.example.com";

async fn start() -> App {
    App::start_with(&[(
        "cors_origins",
        "https://app.example.com, https://admin.example.com",
    )])
    .await
}

async fn preflight(somebody: &Actor, path: &str, origin: &str) -> Answer {
    let request = somebody
        .request("OPTIONS", path)
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization, idempotency-key",
        );
    somebody.send_unchecked(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn configured_origins_and_no_others_may_read_answers() {
    let app = start().await;
    let nobody = app.anonymous();
    for path in ["/orders", "/auth/login", "/items"] {
        let allowed = preflight(&nobody, path, FRIEND).await.expect(200);
        let said = |name: &str| allowed.header(name).unwrap_or_default().to_lowercase();
        assert_eq!(said("access-control-allow-origin"), FRIEND, "{allowed}");
        assert_eq!(said("access-control-allow-credentials"), "true");
        assert!(said("access-control-allow-methods").contains("post"));
        assert!(said("access-control-allow-headers").contains("idempotency-key"));
        for origin in [STRANGER, "null", "https://app.example.com.evil.example.com"] {
            let refused = preflight(&nobody, path, origin).await;
            let named = refused.header("access-control-allow-origin");
            assert_eq!(named, None, "{refused}");
        }
    }
    // Refusals can be read, too, or a page could not say why.
    for (path, status) in [("/items", 200), ("/orders", 401), ("/items/none", 404)] {
        for (origin, allowed) in [(FRIEND, Some(FRIEND)), (STRANGER, None)] {
            let request = nobody.request("GET", path).header("origin", origin);
            let answer = nobody.send(request).await.expect(status);
            assert_eq!(
                answer.header("access-control-allow-origin"),
                allowed,
                "{answer}"
            );
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_configured_origins_there_is_no_cors() {
    let app = App::start().await;
    let nobody = app.anonymous();
    preflight(&nobody, "/orders", FRIEND).await.expect(405);
    let request = nobody.request("GET", "/items").header("origin", FRIEND);
    let answer = nobody.send(request).await.expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), None);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_that_another_site_sends_along_is_refused_and_not_used_up() {
    let app = start().await;
    let ann = app.customer().await;
    let cookie = format!("refresh_token={}", ann.refresh_token);
    let with_cookie = |method: &str, path: &str| {
        let request = app.anonymous().request(method, path);
        request.header("cookie", &cookie)
    };
    let nobody = app.anonymous();
    for path in ["/auth/refresh", "/auth/logout"] {
        for method in ["POST", "GET"] {
            for (name, value) in [
                ("origin", STRANGER),
                ("origin", "null"),
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-site", "same-site"),
            ] {
                let request = with_cookie(method, path).header(name, value);
                nobody
                    .send(request)
                    .await
                    .refused(403, "cross-site-request");
            }
            // An empty object in the body changes nothing.
            let request = with_cookie("POST", path).header("origin", STRANGER);
            nobody
                .send(request.json(&json!({})))
                .await
                .refused(403, "cross-site-request");
        }
    }
    // In the body it is no cookie: whoever can send it there has it.
    let body = json!({"refresh_token": ann.refresh_token});
    let request = app.anonymous().request("POST", "/auth/refresh");
    let request = request.header("origin", STRANGER).json(&body);
    let tokens = nobody.send(request).await.expect(200);
    let fresh = tokens.json()["refresh_token"].as_str().map(str::to_owned);
    let cookie = format!("refresh_token={}", fresh.expect("a new token"));
    let request = app.anonymous().request("POST", "/auth/refresh");
    let request = request.header("cookie", cookie).header("origin", FRIEND);
    nobody.send(request).await.expect(200);
    app.finish().await;
}
