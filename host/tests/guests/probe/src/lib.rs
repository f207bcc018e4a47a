//! A component that does what its test asks: the path says what, the query with what, and the answer is
//! what the host said. It keeps no state but a counter, to see that instances are reused.

#![allow(unsafe_code, reason = "the generated exports")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::SinkExt;
use http_body_util::BodyExt;
use serde_json::{Value as Json, json};
use spin_sdk::http::{BoxBody, EmptyBody, FullBody, Request, Response, StatusCode, body, box_body};
use spin_sdk::sqlite::{Connection, Value};
use spin_sdk::{http_service, key_value, redis, redis_subscriber, variables};

static SERVED: AtomicU32 = AtomicU32::new(0);

type Query = HashMap<String, String>;

#[http_service]
async fn handle(request: Request) -> Response<BoxBody> {
    let served = SERVED.fetch_add(1, Ordering::Relaxed) + 1;
    let uri = request.uri().clone();
    let query = query(uri.query().unwrap_or_default());
    let operation = uri
        .path()
        .rsplit_once("/do/")
        .map_or("", |(_, operation)| operation)
        .to_owned();
    let answer = match operation.as_str() {
        "big" => {
            let bytes = query["bytes"].parse().expect("a number");
            return Response::new(box_body(FullBody::new(Bytes::from(vec![b'x'; bytes]))));
        }
        "empty" => return Response::new(box_body(EmptyBody::new())),
        "stream" => return Response::new(stream()),
        "served" => Ok(json!(served)),
        "path" => Ok(json!(uri.to_string())),
        "headers" => Ok(headers(&request)),
        "echo" => echo(request).await,
        "sleep" => sleep(&query).await,
        "print" => print(&query),
        "trap" => panic!("asked to"),
        "loop" => endless(),
        "hog" => hog(&query),
        "variable" => variables::get(&query["name"])
            .await
            .map(Json::from)
            .map_err(debug),
        "now" => Ok(json!(now())),
        "random" => Ok(json!(random())),
        "environment" => Ok(json!(std::env::vars().collect::<Vec<_>>())),
        "fetch" => fetch(&query).await,
        "sql" => sql(&query, request).await,
        "handles" => handles(&query).await,
        _ => match operation.split_once('/') {
            Some(("kv", operation)) => kv(operation, &query).await,
            Some(("redis", operation)) => redis_call(operation, &query).await,
            _ => Err(format!("no such operation: {operation:?}")),
        },
    };
    let (status, body) = match answer {
        Ok(value) => (200, value.to_string()),
        Err(error) => (422, error),
    };
    let mut response = Response::new(box_body(FullBody::new(Bytes::from(body))));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
}

/// Milliseconds since the Unix epoch.
fn now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| now.as_millis() as u64)
}

/// What the standard library takes for random, drawn anew in each thread of each instance.
fn random() -> String {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0).to_string()
}

/// Keeps each message in the database, unless it asks for something else.
#[redis_subscriber]
async fn on_message(message: Bytes) -> anyhow::Result<()> {
    match &message[..] {
        b"trap" => panic!("asked to"),
        b"loop" => drop(endless()),
        b"error" => anyhow::bail!("asked to"),
        _ => {}
    }
    let text = String::from_utf8_lossy(&message).into_owned();
    if let Some(ms) = text.strip_prefix("slow ") {
        spin_sdk::time::sleep(Duration::from_millis(ms.parse()?)).await;
    }
    let served = SERVED.fetch_add(1, Ordering::Relaxed) + 1;
    let connection = Connection::open("default").await?;
    let create =
        "CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY, text TEXT, served INTEGER)";
    connection.execute(create, []).await?.result().await?;
    let insert = "INSERT INTO messages (text, served) VALUES (?, ?)";
    let values = [Value::Text(text), Value::Integer(served.into())];
    connection.execute(insert, values).await?.result().await?;
    Ok(())
}

/// Three parts with a pause between them.
fn stream() -> BoxBody {
    let (mut sender, body) = body::stream::<&'static str>();
    spin_sdk::wasip3::spawn(async move {
        for part in ["one ", "two ", "three"] {
            if sender.send(part).await.is_err() {
                return;
            }
            spin_sdk::time::sleep(Duration::from_millis(500)).await;
        }
    });
    box_body(body)
}

async fn echo(request: Request) -> Result<Json, String> {
    let body = request.into_body().collect().await.map_err(debug)?;
    Ok(json!(body.to_bytes().len()))
}

fn debug(error: impl std::fmt::Debug) -> String {
    format!("{error:?}")
}

fn query(text: &str) -> Query {
    let decode = |text: &str| {
        let bytes = text.as_bytes();
        let mut out = Vec::new();
        let mut index = 0;
        while index < bytes.len() {
            if bytes[index] == b'%' {
                out.push(u8::from_str_radix(&text[index + 1..index + 3], 16).expect("hex"));
                index += 3;
            } else {
                out.push(bytes[index]);
                index += 1;
            }
        }
        String::from_utf8(out).expect("UTF-8")
    };
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), decode(value)))
        .collect()
}

fn headers(request: &Request) -> Json {
    let fields = request.headers().iter().map(|(name, value)| {
        (
            name.to_string(),
            Json::from(String::from_utf8_lossy(value.as_bytes())),
        )
    });
    Json::Object(fields.collect())
}

async fn sleep(query: &Query) -> Result<Json, String> {
    let ms = query["ms"].parse().map_err(debug)?;
    spin_sdk::time::sleep(Duration::from_millis(ms)).await;
    Ok(json!("slept"))
}

fn print(query: &Query) -> Result<Json, String> {
    println!("out: {}", query["text"]);
    eprintln!("err: {}", query["text"]);
    Ok(json!("printed"))
}

#[allow(clippy::empty_loop, reason = "that is the test")]
fn endless() -> Result<Json, String> {
    loop {
        std::hint::black_box(0);
    }
}

fn hog(query: &Query) -> Result<Json, String> {
    let mib: usize = query["mib"].parse().map_err(debug)?;
    let bytes = vec![1_u8; mib << 20];
    Ok(json!(std::hint::black_box(bytes).len()))
}

async fn fetch(query: &Query) -> Result<Json, String> {
    let response = spin_sdk::http::get(&query["url"]).await.map_err(debug)?;
    let status = response.status().as_u16();
    let body = response
        .into_body()
        .collect()
        .await
        .map_err(debug)?
        .to_bytes();
    Ok(json!({ "status": status, "body": String::from_utf8_lossy(&body) }))
}

/// Runs the statements of the body, one a line, on one handle; answers with the rows of the last, the
/// changes and the last row id. `after` is a wait before, in milliseconds.
async fn sql(query: &Query, request: Request) -> Result<Json, String> {
    if query.contains_key("after") {
        let wait = HashMap::from([("ms".to_owned(), query["after"].clone())]);
        sleep(&wait).await?;
    }
    let body = request
        .into_body()
        .collect()
        .await
        .map_err(debug)?
        .to_bytes();
    let connection = Connection::open(&query["db"]).await.map_err(debug)?;
    let mut last = Vec::new();
    for statement in String::from_utf8_lossy(&body)
        .lines()
        .filter(|line| !line.trim().is_empty())
    {
        let result = connection.execute(statement, []).await.map_err(debug)?;
        last = result.collect().await.map_err(debug)?;
    }
    let rows: Vec<Vec<Json>> = last
        .iter()
        .map(|row| row.values.iter().map(cell).collect())
        .collect();
    let changes = connection.changes().await;
    let id = connection.last_insert_rowid().await;
    Ok(json!({ "rows": rows, "changes": changes, "id": id }))
}

fn cell(value: &Value) -> Json {
    match value {
        Value::Integer(number) => json!(number),
        Value::Real(number) => json!(number),
        Value::Text(text) => json!(text),
        Value::Blob(bytes) => json!(bytes),
        Value::Null => Json::Null,
    }
}

/// Opens as many handles as the host lets it.
async fn handles(query: &Query) -> Result<Json, String> {
    let mut open = Vec::new();
    loop {
        match Connection::open(&query["db"]).await {
            Ok(connection) => open.push(connection),
            Err(error) => return Ok(json!({ "open": open.len(), "error": debug(error) })),
        }
    }
}

async fn kv(operation: &str, query: &Query) -> Result<Json, String> {
    let store = key_value::Store::open(&query["store"])
        .await
        .map_err(debug)?;
    let key = query.get("key").cloned().unwrap_or_default();
    match operation {
        "get" => {
            let value = store.get(key).await.map_err(debug)?;
            Ok(value.map_or(Json::Null, |value| json!(String::from_utf8_lossy(&value))))
        }
        "set" => store
            .set(key, query["value"].as_bytes())
            .await
            .map(|()| json!("set"))
            .map_err(debug),
        "delete" => store
            .delete(key)
            .await
            .map(|()| json!("deleted"))
            .map_err(debug),
        "exists" => store.exists(key).await.map(Json::from).map_err(debug),
        "keys" => store
            .get_keys()
            .await
            .collect()
            .await
            .map(Json::from)
            .map_err(debug),
        other => Err(format!("no such operation: kv/{other}")),
    }
}

async fn redis_call(operation: &str, query: &Query) -> Result<Json, String> {
    let connection = redis::Connection::open(&query["address"])
        .await
        .map_err(debug)?;
    let key = query.get("key").cloned().unwrap_or_default();
    let value = query.get("value").cloned().unwrap_or_default();
    match operation {
        "publish" => {
            let publish = connection.publish(key, value.into_bytes());
            publish.await.map(|()| json!("published")).map_err(debug)
        }
        "set" => connection
            .set(key, value)
            .await
            .map(|()| json!("set"))
            .map_err(debug),
        "get" => {
            let value = connection.get(key).await.map_err(debug)?;
            Ok(value.map_or(Json::Null, |value| json!(String::from_utf8_lossy(&value))))
        }
        "incr" => connection.incr(key).await.map(Json::from).map_err(debug),
        "del" => connection.del([key]).await.map(Json::from).map_err(debug),
        "sadd" => connection
            .sadd(key, [value])
            .await
            .map(Json::from)
            .map_err(debug),
        "smembers" => connection
            .smembers(key)
            .await
            .map(Json::from)
            .map_err(debug),
        "srem" => connection
            .srem(key, [value])
            .await
            .map(Json::from)
            .map_err(debug),
        "execute" => connection
            .execute(value, [])
            .await
            .map(|r| json!(debug(r)))
            .map_err(debug),
        other => Err(format!("no such operation: redis/{other}")),
    }
}
