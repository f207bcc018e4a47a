//! What the guard adds to a request, with a token that it has seen before and with a new one.
//!
//! Three requests to the same component that all end at once in the same refusal, of an id that is none:
//! without the guard in front, with it and a known token, with it and a new one. What differs is the guard.

use crate::figures::{Line, Table, ms};
use crate::host::Start;
use crate::load::{drive, get};
use crate::setting::Setting;
use crate::shop::Shop;
use crate::tokens;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

const UNGUARDED: &str = "/api/v1/items/none";
const GUARDED: &str = "/api/v1/items/none/movements";

pub async fn measure(setting: &Setting, table: &mut Table) -> anyhow::Result<()> {
    let folder = setting.folder("guard")?;
    let shop = Shop::open(setting, Start::shop(setting, &folder), 1).await?;
    let (at, pace) = (shop.host.at, setting.pace());
    let status = refusal(at).await?;

    let free = drive(at, 1, pace, status, |_, _| get(UNGUARDED, None)).await?;
    let known = shop.clients.admin.token.clone();
    let known = drive(at, 1, pace, status, move |_, _| get(GUARDED, Some(&known))).await?;
    let tokens: Result<Vec<String>, _> = (0..setting.or_quick(8_000, 1_000))
        .map(|_| setting.mint.token(&shop.clients.admin.id, "admin"))
        .collect();
    let (tokens, used) = (tokens?, AtomicUsize::new(0));
    let sample = tokens.clone();
    // Were the tokens used up, the last ones would come again and be known: there are more than enough.
    let new = move |_, _| {
        let next = used.fetch_add(1, Ordering::Relaxed);
        get(GUARDED, Some(&tokens[next % tokens.len()]))
    };
    let new = drive(at, 1, pace, status, new).await?;

    let key = setting.mint.public();
    let begun = Instant::now();
    let verified = &sample[..setting.or_quick(1_000, 100)];
    for token in verified {
        tokens::verify(&key, token)?;
    }
    let native = begun.elapsed() / u32::try_from(verified.len())?;

    table.add(Line::new("unguarded request, p50, 1 client", ms(free.p50)));
    for (what, guarded, aim) in [
        ("guard, token seen before", known, "≤ 0.1 ms"),
        ("guard, new token", new, "≤ 2 ms"),
    ] {
        let more = guarded.p50.saturating_sub(free.p50);
        table.add(
            Line::new(format!("{what}: p50 beyond an unguarded request"), ms(more))
                .beside(format!("the whole request: {}", ms(guarded.p50)))
                .limit(
                    "native RS256 verification",
                    native.as_secs_f64(),
                    &ms(native),
                    more.as_secs_f64(),
                )
                .aim(aim),
        );
    }
    shop.close().await?;
    Ok(())
}

/// What the unguarded request is refused with; the guarded ones must be as well.
async fn refusal(at: std::net::SocketAddr) -> anyhow::Result<u16> {
    let mut connection = crate::load::Connection::new(at);
    Ok(connection.send(get(UNGUARDED, None)).await?.status)
}
