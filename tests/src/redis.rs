//! A Redis server of a test's own.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Debian's package puts it here.
const PROGRAM: &str = "/usr/bin/redis-server";
const START: Duration = Duration::from_secs(10);

/// A running server, ended with the test.
pub struct RedisServer {
    port: u16,
    process: Child,
}

impl RedisServer {
    /// Starts one on a free port. `None`, said aloud, where there is no Redis to start.
    ///
    /// # Panics
    /// Where there is none and `CI` is `true`: then nothing may go untested.
    pub fn start(test: &str) -> Option<RedisServer> {
        if !Path::new(PROGRAM).exists() {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{PROGRAM} is missing");
            println!("SKIPPED: {test}: no redis-server");
            return None;
        }
        // Between the look for a port and its use somebody else may take it.
        let started = (0..5).find_map(|_| RedisServer::try_start(free_port()));
        Some(started.expect("redis-server starts"))
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn try_start(port: u16) -> Option<RedisServer> {
        let mut process = Command::new(PROGRAM)
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server runs");
        let begun = Instant::now();
        while begun.elapsed() < START {
            if !matches!(process.try_wait(), Ok(None)) {
                return None;
            }
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(RedisServer { port, process });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("redis-server does not listen on port {port}");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port that nobody listens on just now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it has an address").port()
}
