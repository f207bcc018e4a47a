//! The shop, met from outside. A module per topic; what concerns the saga runs twice, on channels
//! within the process and on those of a real Redis.

mod accounts;
mod actors;
mod admins;
mod audit;
mod authorisation;
mod bad_input;
mod bad_tokens;
mod bodies;
mod browsers;
mod caching;
mod cancel;
mod catalogue;
mod checker;
mod command_line;
mod conditional;
mod cost;
mod crash;
mod cursors;
mod deletion;
mod drafts;
mod endings;
mod ext_authz;
mod full_disk;
mod guessing;
mod harness;
mod hosts;
mod internal_routes;
mod interrupted;
mod limits;
mod lines;
mod lists;
mod logins;
mod messages;
mod notifications;
mod once;
mod operators;
mod other_issuers;
mod outage;
mod passwords;
mod patches;
mod privacy;
mod private;
mod probes;
mod profiles;
mod proxies;
mod quotas;
mod races;
mod redis_rights;
mod refreshes;
mod registration;
mod resending;
mod restart;
mod revocation;
mod rotation;
mod sabotage;
mod safe_methods;
mod same_origin;
mod sign_in;
mod signatures;
mod simulation;
mod strangers;
mod text;
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

/// As `on_both_channels`, in shops that sign nothing, where anybody who may publish is believed.
macro_rules! on_both_unsigned_channels {
    ($($name:ident),+ $(,)?) => {
        mod in_process_unsigned {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                crate::in_process_with(crate::UNSIGNED, super::$name).await;
            })+
        }
        mod on_redis_unsigned {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                let name = concat!(module_path!(), "::", stringify!($name));
                crate::on_redis_with(name, crate::UNSIGNED, super::$name).await;
            })+
        }
    };
}
use on_both_unsigned_channels;

/// A shop that believes everybody.
const UNSIGNED: &[(&str, &str)] = &[("channel_keys", "")];

async fn in_process(test: impl AsyncFnOnce(&mut App)) {
    in_process_with(&[], test).await;
}

async fn in_process_with(variables: &[(&str, &str)], test: impl AsyncFnOnce(&mut App)) {
    let mut app = App::start_with(variables).await;
    test(&mut app).await;
    app.finish().await;
}

async fn on_redis(name: &str, test: impl AsyncFnOnce(&mut App)) {
    on_redis_with(name, &[], test).await;
}

async fn on_redis_with(name: &str, variables: &[(&str, &str)], test: impl AsyncFnOnce(&mut App)) {
    if let Some(mut app) = App::start_on_redis_with(name, variables).await {
        test(&mut app).await;
        app.finish().await;
    }
}
