//! Refreshes that come at once, whose answer is lost, or that carry two tokens.

use crate::harness::process::Process;
use crate::harness::{Actor, Answer, App, surgery};
use crate::logins::{is_revoked_everywhere, refresh};
use futures::future::join_all;
use serde_json::json;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn of_twelve_refreshes_at_once_the_winner_stays_logged_in() {
    let app = App::start().await;
    let mut ann = app.customer().await.without_token();
    // In one burst, and as a client sends them that looks at its token every few milliseconds.
    for pause in [0, 0, 0, 15, 40] {
        let client = ann.clone();
        let all = (0..12_u64).map(|number| {
            let client = &client;
            async move {
                tokio::time::sleep(Duration::from_millis(pause * number)).await;
                refresh_as(client).await
            }
        });
        let answers = join_all(all).await;
        let won: Vec<&Answer> = answers.iter().filter(|a| a.status == 200).collect();
        assert_eq!(won.len(), 1, "{answers:?}");
        for lost in answers.iter().filter(|answer| answer.status != 200) {
            lost.clone().refused(401, "invalid-refresh-token");
        }
        ann.take_tokens(won[0]);
        ann.get("/orders").await.expect(200);
    }
    app.finish().await;
}

async fn refresh_as(client: &Actor) -> Answer {
    let body = json!({"refresh_token": client.refresh_token});
    client.post("/auth/refresh", &body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_refreshes_at_once_by_cookie_and_at_two_hosts_the_winner_stays_logged_in() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (one, two) = (Process::start(folder.path()), Process::start(folder.path()));
    let mut ann = Actor::register(one.address(), "ann@example.com").await;
    for _ in 0..3 {
        let all = (0..12).map(|number| {
            let host = if number % 2 == 0 { &one } else { &two };
            let ann = ann.at(host.address()).without_token();
            async move {
                let request = ann.request("POST", "/auth/refresh");
                let cookie = format!("refresh_token={}", ann.refresh_token);
                ann.send(request.header("cookie", cookie)).await
            }
        });
        let answers = join_all(all).await;
        let won: Vec<&Answer> = answers.iter().filter(|a| a.status == 200).collect();
        assert_eq!(won.len(), 1, "{answers:?}");
        ann.take_tokens(won[0]);
        ann.at(two.address()).get("/orders").await.expect(200);
    }
}

/// Longer than requests that come at once, shorter than the grace.
const A_MOMENT: Duration = Duration::from_millis(2_500);

#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_answer_was_lost_may_refresh_once_more() {
    let mut app = App::start().await;
    let mut ann = app.customer().await;
    let first = ann.refresh_token.clone();
    let lost = refresh(&app, &first).await.expect(200);
    tokio::time::sleep(A_MOMENT).await;
    ann.take_tokens(&refresh(&app, &first).await.expect(200));
    // Only once; but another attempt does not end the login.
    refresh(&app, &first)
        .await
        .refused(401, "invalid-refresh-token");
    ann.get("/orders").await.expect(200);
    let rest = ann.refresh_token.clone();
    ann.take_tokens(&refresh(&app, &rest).await.expect(200));
    // The answer was not lost after all: somebody else had it.
    let lost = lost.json()["refresh_token"].clone();
    refresh(&app, lost.as_str().expect("a token"))
        .await
        .refused(401, "invalid-refresh-token");
    is_revoked_everywhere(&ann).await;

    // After the grace a used token is a stolen one.
    ann.log_in_again().await;
    let first = ann.refresh_token.clone();
    ann.take_tokens(&refresh(&app, &first).await.expect(200));
    app.restart_after(|databases| {
        let auth = surgery::open(databases, "auth");
        let later = "UPDATE refresh_tokens SET used_at = used_at - 10000";
        auth.execute(later, []).expect("aged");
    })
    .await;
    refresh(&app, &first)
        .await
        .refused(401, "invalid-refresh-token");
    is_revoked_everywhere(&ann).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_refresh_tokens_in_one_request_are_refused_and_stay_good() {
    let app = App::start().await;
    let mut ann = app.customer().await;
    let mallory = app.customer().await;
    let nobody = app.anonymous();
    let (own, planted) = (
        format!("refresh_token={}", ann.refresh_token),
        format!("refresh_token={}", mallory.refresh_token),
    );
    for path in ["/auth/refresh", "/auth/logout", "/auth/logout/everywhere"] {
        for cookies in [
            vec![format!("{planted}; {own}")],
            vec![format!("{own}; a=b; {planted}")],
            vec![planted.clone(), own.clone()],
            vec![format!("{own}; {own}")],
        ] {
            let mut request = nobody.request("POST", path);
            for cookie in &cookies {
                request = request.header("cookie", cookie);
            }
            let refused = nobody.send(request).await;
            refused.refused(400, "ambiguous-refresh-token");
        }
        let body = json!({"refresh_token": ann.refresh_token});
        let request = nobody.request("POST", path).header("cookie", &planted);
        let refused = nobody.send(request.json(&body)).await;
        refused.refused(400, "ambiguous-refresh-token");
    }
    // The same token in both counts as one.
    let body = json!({"refresh_token": ann.refresh_token});
    let request = nobody
        .request("POST", "/auth/refresh")
        .header("cookie", own);
    ann.take_tokens(&nobody.send(request.json(&body)).await.expect(200));
    refresh(&app, &mallory.refresh_token).await.expect(200);
    app.finish().await;
}
