//! The harness of the black-box tests: an [`App`] is the whole shop on a free port with folders of
//! its own; an [`Actor`] is somebody who uses it over HTTP and knows nothing else of it; [`books`]
//! reads the databases afterwards and tells whether they add up.

pub mod actor;
pub mod answer;
pub mod app;
pub mod books;
pub mod browser;
pub mod issuer;
pub mod logs;
pub mod process;
pub mod redis;
pub mod routes;
pub mod running;
pub mod sabotage;
mod spin;
pub mod surgery;
pub mod wait;
pub mod wire;
pub mod workspace;

pub use actor::Actor;
pub use answer::Answer;
pub use app::App;
pub use wait::eventually;

/// A client that ignores the proxies of the environment, as it sends passwords and secrets.
pub fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client")
}
