//! The refresh cookie works for the shop's own pages, whatever name a browser reached the shop by, and for no others.

use crate::harness::actor::Actor;
use crate::harness::{Answer, App};
use reqwest::Client;

/// Makes a name lead to the shop, as a browser's resolver would.
const NAME: &str = "shop.example";
const STRANGER: &str = "http://evil.example";

/// A client with the cookie of a login.
struct Page {
    http1: Client,
    http2: Client,
    port: u16,
    refresh_token: String,
}

impl Page {
    async fn of(app: &App) -> Page {
        let socket = app.address().socket();
        let resolving = || Client::builder().resolve(NAME, socket);
        Page {
            http1: resolving().build().expect("a client"),
            http2: resolving()
                .http2_prior_knowledge()
                .build()
                .expect("a client"),
            port: socket.port(),
            refresh_token: app.customer().await.refresh_token,
        }
    }

    /// Refreshes by the cookie, at this host, with more fields.
    async fn refresh(&mut self, client: &Client, host: &str, fields: &[(&str, &str)]) -> Answer {
        let url = format!("http://{host}/api/v1/auth/refresh");
        let mut request = client.post(url);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let cookie = format!("refresh_token={}", self.refresh_token);
        let response = request.header("cookie", cookie).send().await;
        let response = response.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let answer = Answer {
            asked: format!("{host} {fields:?}"),
            status,
            headers,
            body: response.text().await.expect("a whole answer"),
        };
        if answer.status == 200 {
            let token = answer.json()["refresh_token"].as_str().map(str::to_owned);
            self.refresh_token = token.expect("a token");
        }
        answer.checked()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_name_of_the_shop_is_its_own_origin() {
    let app = App::start().await;
    let mut page = Page::of(&app).await;
    for client in [page.http1.clone(), page.http2.clone()] {
        for name in ["localhost", "127.0.0.1", NAME] {
            let host = format!("{name}:{}", page.port);
            let origins = [
                format!("http://{host}"),
                format!("HTTP://{}", host.to_uppercase()),
            ];
            for origin in origins {
                let fields = [("origin", origin.as_str())];
                page.refresh(&client, &host, &fields).await.expect(200);
                let fields = [fields[0], ("sec-fetch-site", "same-origin")];
                page.refresh(&client, &host, &fields).await.expect(200);
            }
        }
    }
    // Names that no resolver here knows.
    let host = format!("127.0.0.1:{}", page.port);
    let client = page.http1.clone();
    for (named, origin) in [
        ("[::1]:3000", "http://[::1]:3000"),
        ("shop.example", "http://shop.example"),
        ("shop.example:80", "http://shop.example"),
        ("shop.example", "http://shop.example:80"),
        ("SHOP.example", "http://shop.example"),
    ] {
        let fields = [("host", named), ("origin", origin)];
        page.refresh(&client, &host, &fields).await.expect(200);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_are_refused_under_every_name() {
    let app = App::start().await;
    let mut page = Page::of(&app).await;
    for client in [page.http1.clone(), page.http2.clone()] {
        for name in ["localhost", "127.0.0.1", NAME] {
            let host = format!("{name}:{}", page.port);
            for origin in [
                STRANGER.to_owned(),
                "null".to_owned(),
                String::new(),
                host.clone(),
                format!("http://{name}"),
                format!("http://{name}:1"),
                format!("https://{host}"),
                format!("http://{host}.evil.example"),
                format!("http://{host}/"),
                format!("http://me@{host}"),
                format!("{STRANGER} http://{host}"),
                // A name of the shop, but not the one that the request was sent to.
                format!("http://other.example:{}", page.port),
            ] {
                let fields = [("origin", origin.as_str())];
                let answer = page.refresh(&client, &host, &fields).await;
                answer.refused(403, "cross-site-request");
            }
            let own = format!("http://{host}");
            for fields in [
                [("origin", own.as_str()), ("sec-fetch-site", "cross-site")],
                [("origin", own.as_str()), ("origin", STRANGER)],
                [("origin", STRANGER), ("origin", own.as_str())],
                // The fields of a proxy are not believed when a client sends them.
                [("origin", STRANGER), ("x-forwarded-host", "evil.example")],
                [("origin", STRANGER), ("forwarded", "host=evil.example")],
            ] {
                let answer = page.refresh(&client, &host, &fields).await;
                answer.refused(403, "cross-site-request");
            }
        }
    }
    // The refused requests did not use the token up.
    let host = format!("localhost:{}", page.port);
    let client = page.http1.clone();
    page.refresh(&client, &host, &[]).await.expect(200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_says_which_origin_was_asked() {
    let app = App::start_with(&[("trusted_proxies", "127.0.0.0/8")]).await;
    let mut page = Page::of(&app).await;
    let host = format!("127.0.0.1:{}", page.port);
    let client = page.http1.clone();
    let (name, proto) = (("x-forwarded-host", NAME), ("x-forwarded-proto", "https"));
    let origin = |origin| ("origin", origin);
    for fields in [
        &[origin("https://shop.example"), name, proto][..],
        &[origin("http://shop.example"), name],
        &[origin("https://shop.example"), proto, ("host", NAME)],
    ] {
        page.refresh(&client, &host, fields).await.expect(200);
    }
    let own = format!("http://{host}");
    for fields in [
        &[origin("http://shop.example"), name, proto][..],
        &[origin(&own), name],
        &[origin(&own), proto],
        &[origin(STRANGER), name, proto],
    ] {
        let answer = page.refresh(&client, &host, fields).await;
        answer.refused(403, "cross-site-request");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configured_origins_count_in_any_spelling() {
    let app = App::start_with(&[("cors_origins", "https://App.example.com:443")]).await;
    let mut page = Page::of(&app).await;
    let (host, client) = (format!("127.0.0.1:{}", page.port), page.http1.clone());
    let fields = [("origin", "https://app.example.com")];
    let answer = page.refresh(&client, &host, &fields).await.expect(200);
    let allowed = answer.header("access-control-allow-origin");
    assert_eq!(allowed, Some("https://app.example.com"), "{answer}");
    let nobody: Actor = app.anonymous();
    let request = nobody.request("OPTIONS", "/items");
    let request = request
        .header("origin", "https://app.example.com")
        .header("access-control-request-method", "PATCH")
        .header("access-control-request-headers", "if-match");
    let preflight = nobody.send_unchecked(request).await.expect(200);
    let headers = preflight.header("access-control-allow-headers");
    assert!(
        headers.is_some_and(|names| names.contains("if-match")),
        "{preflight}"
    );
    app.finish().await;
}
