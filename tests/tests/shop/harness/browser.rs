//! A browser of which a test does every step: it follows no redirect by itself, and keeps cookies.

use crate::harness::answer::Answer;
use crate::harness::app::Address;
use reqwest::{Client, Method, redirect};

/// Somebody who signs in by clicking.
#[derive(Clone)]
pub struct Browser {
    client: Client,
    shop: Address,
    /// `name=value`, as they are sent to the shop.
    pub cookies: Vec<String>,
}

impl Browser {
    /// A fresh one.
    pub fn new(shop: &Address) -> Browser {
        let client = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none());
        Browser {
            client: client.build().expect("a client"),
            shop: shop.clone(),
            cookies: vec![],
        }
    }

    /// Opens a page of the shop, with all cookies.
    pub async fn open(&mut self, path: &str) -> Answer {
        let request = self.client.get(format!("{}{path}", self.shop.url()));
        let request = request.header("cookie", self.cookies.join("; "));
        let answer = receive(request, path).await.well_formed();
        for cookie in answer.headers.get_all("set-cookie") {
            let cookie = cookie.to_str().expect("ASCII");
            let pair = cookie.split(';').next().unwrap_or_default();
            let name = pair.split('=').next().unwrap_or_default();
            self.cookies
                .retain(|other| other.split('=').next() != Some(name));
            if !pair.ends_with('=') {
                self.cookies.push(pair.to_owned());
            }
        }
        answer
    }

    /// Sends another method, with all cookies, and keeps nothing of the answer.
    pub async fn ask(&self, method: &str, path: &str) -> Answer {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let url = format!("{}{path}", self.shop.url());
        let request = self.client.request(method, url);
        receive(request.header("cookie", self.cookies.join("; ")), path).await
    }

    /// Opens a page elsewhere, and gives where that sends the browser: path and query.
    pub async fn sent_on_from(&self, url: &str) -> String {
        let answer = receive(self.client.get(url), url).await.expect(302);
        let location = answer.header("location").expect("a location");
        let after_scheme = location.split_once("://").expect("a URL").1;
        let path = after_scheme.find('/').expect("a path");
        after_scheme[path..].to_owned()
    }
}

async fn receive(request: reqwest::RequestBuilder, asked: &str) -> Answer {
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer {
        asked: asked.to_owned(),
        status,
        headers,
        body: response.text().await.expect("a whole answer"),
    }
}
