//! What the shop's logs must never say. All that the host and the components log in this process is kept, and
//! so is every secret that the tests have sent or been given; whenever a shop ends, neither may be
//! found in the other. Logs of other processes are checked by those who run them.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Mutex, Once, PoisonError};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// What no log may contain, whoever it belongs to: the beginning of a token, and of a key.
const MARKS: [&str; 4] = ["eyJ", "-----BEGIN", "PRIVATE KEY", "$argon2"];
/// Shorter ones would be found by chance.
const SHORTEST: usize = 8;

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static SECRETS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Keeps what is logged from now on; finer than an operator's log.
pub fn keep() {
    static KEPT: Once = Once::new();
    KEPT.call_once(|| {
        let log = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new("info,wasmart_host=debug"))
            .with_ansi(false)
            .with_writer(Kept);
        log.init();
    });
}

/// No log may say this.
pub fn secret(text: &str) {
    if text.len() >= SHORTEST {
        let mut secrets = SECRETS.lock().unwrap_or_else(PoisonError::into_inner);
        secrets.insert(text.to_owned());
    }
}

/// What was logged in this process since the last [`check`].
pub fn so_far() -> String {
    let log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
    String::from_utf8_lossy(&log).into_owned()
}

/// The log of this process has no secret in it.
///
/// # Panics
/// With the lines that have one.
pub fn check() {
    // What has been looked through need not be kept.
    let log = std::mem::take(&mut *LOG.lock().unwrap_or_else(PoisonError::into_inner));
    check_log(&String::from_utf8_lossy(&log));
}

/// As [`check`], of another process's log.
///
/// # Panics
/// With the lines that have one.
pub fn check_log(log: &str) {
    let told = told(log);
    assert!(
        told.is_empty(),
        "the log has secrets in it:\n  {}",
        told.join("\n  ")
    );
}

/// The lines of a log that have a secret in them.
pub fn told(log: &str) -> Vec<&str> {
    let secrets = SECRETS.lock().unwrap_or_else(PoisonError::into_inner);
    let has_one = |line: &&str| {
        MARKS.iter().any(|mark| line.contains(mark))
            || secrets.iter().any(|secret| line.contains(secret.as_str()))
    };
    log.lines().filter(has_one).collect()
}

struct Kept;

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
        log.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Kept {
    type Writer = Kept;

    fn make_writer(&self) -> Kept {
        Kept
    }
}
