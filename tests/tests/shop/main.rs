//! The shop, met from outside. A module per topic; what concerns the saga runs twice, on channels
//! within the process and on those of a real Redis.

mod accounts;
mod admins;
mod audit;
mod bad_input;
mod bad_tokens;
mod browsers;
mod cancel;
mod catalogue;
mod checker;
mod command_line;
mod cost;
mod crash;
mod deletion;
mod drafts;
mod endings;
mod ext_authz;
mod full_disk;
mod guessing;
mod harness;
mod hosts;
mod interrupted;
mod limits;
mod lists;
mod logins;
mod messages;
mod notifications;
mod once;
mod operators;
mod other_issuers;
mod outage;
mod passwords;
mod privacy;
mod private;
mod probes;
mod profiles;
mod proxies;
mod races;
mod resending;
mod restart;
mod revocation;
mod rotation;
mod sabotage;
mod sign_in;
mod simulation;
mod strangers;
mod token_endpoint;
mod versions;
mod walkthrough;
mod wallet;
mod worlds;

use crate::harness::App;

/// Makes two tests of each of these functions, which take an `&mut App`.
macro_rules! on_both_channels {
    ($($name:ident),+ $(,)?) => {
        mod in_process {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                crate::in_process(super::$name).await;
            })+
        }
        mod on_redis {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                crate::on_redis(concat!(module_path!(), "::", stringify!($name)), super::$name).await;
            })+
        }
    };
}
use on_both_channels;

async fn in_process(test: impl AsyncFnOnce(&mut App)) {
    let mut app = App::start().await;
    test(&mut app).await;
    app.finish().await;
}

async fn on_redis(name: &str, test: impl AsyncFnOnce(&mut App)) {
    if let Some(mut app) = App::start_on_redis(name).await {
        test(&mut app).await;
        app.finish().await;
    }
}
