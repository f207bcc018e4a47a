//! An OpenID Connect issuer that the tests run: real keys, discovery, the authorization code flow with
//! PKCE. It keeps to the standard; a test may make it say something else.

use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use jwt_simple::prelude::{Claims, Duration, HeaderOptions, RS256KeyPair, RSAKeyPairLike};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What the shop is to this issuer.
pub const CLIENT: &str = "shop";
/// Its secret; with signs in it that a form encodes.
pub const SECRET: &str = "s3cret: & ü";
/// Where it takes users back.
pub const REDIRECT: &str = "http://shop.example/api/v1/auth/idp/callback";

/// A running issuer.
pub struct Issuer {
    inner: Arc<Inner>,
    serving: JoinHandle<()>,
}

struct Inner {
    url: String,
    state: Mutex<Behaviour>,
}

/// What it has and does; tests change it.
pub struct Behaviour {
    keys: Vec<(String, RS256KeyPair)>,
    codes: HashMap<String, HashMap<String, String>>,
    published: bool,
    /// Who signs in: members of the id token.
    pub person: Value,
    /// Members that take the place of others in the id token; null takes one away.
    pub id_token: Value,
    /// The same for the discovery document.
    pub document: Value,
    /// The same for the answer of the token endpoint.
    pub answer: Value,
    /// Whether it answers at all, once it is connected to.
    pub hangs: bool,
    made: usize,
    /// How often it was asked, by path.
    pub asked: HashMap<String, usize>,
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Issuer {
    /// Starts one on a free port.
    pub async fn start() -> Issuer {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Mutex::new(Behaviour {
            keys: vec![new_key("key-1")],
            codes: HashMap::new(),
            published: true,
            person: json!({"sub": "u-1", "email": "ann@example.com", "email_verified": true}),
            id_token: json!({}),
            document: json!({}),
            answer: json!({}),
            hangs: false,
            made: 0,
            asked: HashMap::new(),
        });
        let inner = Arc::new(Inner { url, state });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(document))
            .route("/jwks", get(jwks))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .layer(axum::middleware::from_fn_with_state(inner.clone(), count))
            .with_state(inner.clone());
        let serving = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("it serves");
        });
        Issuer { inner, serving }
    }

    /// Its `issuer`, and the only host that it has.
    pub fn url(&self) -> &str {
        &self.inner.url
    }

    /// What it has and does.
    pub fn set(&self) -> MutexGuard<'_, Behaviour> {
        self.inner.lock()
    }

    /// How often a path was asked for.
    pub fn asked(&self, path: &str) -> usize {
        self.set().asked.get(path).copied().unwrap_or_default()
    }

    /// Puts a new key in the place of all others.
    pub fn replace_keys(&self, kid: &str) {
        self.set().keys = vec![new_key(kid)];
    }

    /// Stops publishing keys. It still signs with the old one, as a thief of the key would.
    pub fn withdraw_keys(&self) {
        self.set().published = false;
    }

    /// Gives its newest key another name.
    pub fn rename_key(&self, kid: &str) {
        let mut state = self.set();
        let (_, pair) = state.keys.pop().expect("a key");
        state.keys.push((kid.to_owned(), pair.with_key_id(kid)));
    }

    /// Variables of a shop that lets users sign in here, as `idp`.
    pub fn as_provider(&self) -> String {
        json!([{
            "name": "idp", "issuer": self.url(), "client_id": CLIENT, "client_secret": SECRET,
            "redirect_uri": REDIRECT,
        }])
        .to_string()
    }

    /// An access token as Keycloak makes them, with members in place of others; null takes one away.
    pub fn access_token(&self, members: Value) -> String {
        let now = now();
        let usual = json!({
            "iss": self.url(), "aud": ["account", CLIENT], "azp": "web", "typ": "Bearer",
            "jti": format!("jti-{}", self.set().next()), "iat": now, "exp": now + 300,
            "preferred_username": "ann", "realm_access": {"roles": ["offline_access"]},
        });
        let person = self.set().person.clone();
        self.sign("JWT", &merged(merged(usual, &person), &members))
    }

    /// Any token, signed with the newest key.
    pub fn sign(&self, typ: &str, claims: &Value) -> String {
        self.inner.lock().sign(typ, claims)
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Behaviour> {
        self.state.lock().expect("no panic while held")
    }
}

impl Behaviour {
    /// A number that no other code or token has.
    fn next(&mut self) -> usize {
        self.made += 1;
        self.made
    }

    fn sign(&self, typ: &str, claims: &Value) -> String {
        let (_, pair) = self.keys.last().expect("a key");
        let options = HeaderOptions {
            content_type: None,
            signature_type: Some(typ.to_owned()),
        };
        // The library's own claims would come beside those given: empty ones are left out.
        let mut empty = Claims::with_custom_claims(claims.clone(), Duration::from_secs(0));
        (empty.issued_at, empty.expires_at, empty.invalid_before) = (None, None, None);
        pair.sign_with_options(empty, &options).expect("a token")
    }
}

fn new_key(kid: &str) -> (String, RS256KeyPair) {
    let pair = RS256KeyPair::generate(2048).expect("a key pair");
    (kid.to_owned(), pair.with_key_id(kid))
}

/// Members put in place of others; null takes one away.
fn merged(mut object: Value, members: &Value) -> Value {
    let target = object.as_object_mut().expect("an object");
    for (name, value) in members.as_object().expect("members") {
        match value {
            Value::Null => target.remove(name),
            value => target.insert(name.clone(), value.clone()),
        };
    }
    object
}

/// Seconds since the Unix epoch.
pub fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("past 1970").as_secs()
}

type Shared = State<Arc<Inner>>;

async fn count(
    State(inner): Shared,
    request: Request<Body>,
    next: axum::middleware::Next,
) -> Response {
    let hangs = {
        let mut state = inner.lock();
        let path = request.uri().path().to_owned();
        *state.asked.entry(path).or_default() += 1;
        state.hangs
    };
    if hangs {
        std::future::pending::<()>().await;
    }
    next.run(request).await
}

async fn document(State(inner): Shared) -> Json<Value> {
    let url = &inner.url;
    let usual = json!({
        "issuer": url, "jwks_uri": format!("{url}/jwks"),
        "authorization_endpoint": format!("{url}/authorize?realm=a"),
        "token_endpoint": format!("{url}/token"),
        "authorization_response_iss_parameter_supported": true,
        "id_token_signing_alg_values_supported": ["RS256"],
    });
    Json(merged(usual, &inner.lock().document))
}

async fn jwks(State(inner): Shared) -> Json<Value> {
    let state = inner.lock();
    let published = state.keys.iter().filter(|_| state.published);
    let keys = published.map(|(kid, pair)| {
        let jwk = pair.public_key().to_jwk();
        let mut jwk: Value = serde_json::from_str(&jwk).expect("a JWK");
        jwk["kid"] = json!(kid);
        jwk
    });
    Json(json!({"keys": keys.collect::<Vec<_>>()}))
}

/// Everyone has a session here already and agrees.
async fn authorize(State(inner): Shared, Query(asked): Query<HashMap<String, String>>) -> Response {
    let good = asked.get("response_type").is_some_and(|v| v == "code")
        && asked.get("client_id").is_some_and(|v| v == CLIENT)
        && asked.get("redirect_uri").is_some_and(|v| v == REDIRECT)
        && asked.get("realm").is_some_and(|v| v == "a")
        && asked
            .get("code_challenge_method")
            .is_some_and(|v| v == "S256")
        && asked.contains_key("nonce");
    if !good {
        return (StatusCode::BAD_REQUEST, format!("{asked:?}")).into_response();
    }
    let code = format!("code-{}", inner.lock().next());
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("code", &code)
        .append_pair("state", &asked["state"])
        .append_pair("iss", &inner.url)
        .finish();
    inner.lock().codes.insert(code, asked);
    let location = [("location", format!("{REDIRECT}?{query}"))];
    (StatusCode::FOUND, location).into_response()
}

async fn token(State(inner): Shared, headers: HeaderMap, body: String) -> Response {
    let form: HashMap<String, String> = form_urlencoded::parse(body.as_bytes())
        .into_owned()
        .collect();
    let refuse = |status: StatusCode, error: &str| {
        let body = json!({"error": error, "error_description": "<script>not for users</script>"});
        (status, Json(body)).into_response()
    };
    if headers.get("authorization").map(|value| value.as_bytes()) != Some(basic().as_bytes()) {
        return refuse(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    let mut state = inner.lock();
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    // A code is good for one try.
    let Some(asked) = state.codes.remove(field("code")) else {
        return refuse(StatusCode::BAD_REQUEST, "invalid_grant");
    };
    let hash = hmac_sha256::Hash::hash(field("code_verifier").as_bytes());
    if BASE64.encode(hash) != asked["code_challenge"] || field("redirect_uri") != REDIRECT {
        return refuse(StatusCode::BAD_REQUEST, "invalid_grant");
    }
    let access_token = "an access token of the issuer";
    let at_hash = BASE64.encode(&hmac_sha256::Hash::hash(access_token.as_bytes())[..16]);
    let claims = json!({
        "iss": inner.url, "aud": CLIENT, "typ": "ID", "nonce": asked["nonce"], "iat": now(),
        "exp": now() + 300, "at_hash": at_hash,
    });
    let claims = merged(merged(claims, &state.person), &state.id_token);
    let answer = json!({
        "access_token": access_token, "token_type": "Bearer", "expires_in": 300,
        "id_token": state.sign("JWT", &claims),
    });
    Json(merged(answer, &state.answer)).into_response()
}

/// RFC 6749 §2.3.1.
fn basic() -> String {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encode(CLIENT), encode(SECRET));
    format!("Basic {}", base64::prelude::BASE64_STANDARD.encode(pair))
}
