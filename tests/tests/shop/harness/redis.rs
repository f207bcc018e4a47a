//! A Redis server of a test's own.

use crate::harness::process::signal;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Debian's package puts it here.
const PROGRAM: &str = "/usr/bin/redis-server";
const START: Duration = Duration::from_secs(10);

/// A running server, ended with the test.
pub struct RedisServer {
    port: u16,
    process: Child,
    options: Vec<String>,
}

impl RedisServer {
    /// Starts one on a free port. `None`, said aloud, where there is no Redis to start.
    ///
    /// # Panics
    /// Where there is none and `CI` is `true`: then nothing may go untested.
    pub fn start(test: &str) -> Option<RedisServer> {
        RedisServer::start_with(test, &[])
    }

    /// As [`RedisServer::start`], with more options.
    pub fn start_with(test: &str, options: &[&str]) -> Option<RedisServer> {
        if !Path::new(PROGRAM).exists() {
            assert_ne!(
                std::env::var("CI").as_deref(),
                Ok("true"),
                "{PROGRAM} is missing"
            );
            println!("SKIPPED: {test}: no redis-server");
            return None;
        }
        // Between the look for a port and its use somebody else may take it.
        let started = (0..5).find_map(|_| RedisServer::try_start(free_port(), options));
        Some(started.expect("redis-server starts"))
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends it, and all that was under way in it.
    pub fn stop(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
    }

    /// Starts it again on its port, empty, after [`RedisServer::stop`].
    pub fn start_again(&mut self) {
        let options: Vec<&str> = self.options.iter().map(String::as_str).collect();
        let again = RedisServer::try_start(self.port, &options);
        let again = again.expect("its port is still free");
        // The old one has ended already.
        *self = again;
    }

    /// It stays there and answers nobody.
    pub fn pause(&self) {
        signal(self.process.id(), "STOP");
    }

    /// It goes on after [`RedisServer::pause`].
    pub fn resume(&self) {
        signal(self.process.id(), "CONT");
    }

    fn try_start(port: u16, options: &[&str]) -> Option<RedisServer> {
        let process = Command::new(PROGRAM)
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no"])
            .args(options)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server runs");
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut server = RedisServer {
            port,
            process,
            options,
        };
        let begun = Instant::now();
        while begun.elapsed() < START {
            if !matches!(server.process.try_wait(), Ok(None)) {
                return None;
            }
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(server);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("redis-server does not listen on port {port}");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A port that nobody listens on just now, below those that systems give out by themselves. Tests run side by side, each
/// in a process of its own: no two have the same ports, so that none meets the shop of another.
pub fn free_port() -> u16 {
    const EACH: u32 = 10;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = 10_000 + std::process::id() % 2_000 * EACH;
    (0..EACH)
        .map(|_| first + NEXT.fetch_add(1, Ordering::Relaxed) % EACH)
        .filter_map(|port| u16::try_from(port).ok())
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}

/// Publishes a message.
///
/// # Errors
/// When the server can't be reached or does not take it.
pub fn publish(url: &str, channel: &str, message: &[u8]) -> io::Result<()> {
    ask(url, &[b"PUBLISH", channel.as_bytes(), message], 1).map(drop)
}

/// How many listen to a channel.
///
/// # Errors
/// When the server can't be reached.
pub fn subscribers(url: &str, channel: &str) -> io::Result<u64> {
    // Four lines: an array of two, the length of the name, the name, the number.
    let lines = ask(url, &[b"PUBSUB", b"NUMSUB", channel.as_bytes()], 4)?;
    let count = lines
        .last()
        .and_then(|line| line.trim().strip_prefix(':')?.parse().ok());
    count.ok_or_else(|| io::Error::other(lines.concat()))
}

/// Whether a user may give a command, as an administrator hears it from the server (`ACL DRYRUN`).
///
/// # Errors
/// When the server can't be reached.
pub fn may(url: &str, login: (&str, &str), user: &str, command: &[&str]) -> io::Result<bool> {
    let words: Vec<&[u8]> = [b"ACL".as_slice(), b"DRYRUN", user.as_bytes()]
        .into_iter()
        .chain(command.iter().map(|word| word.as_bytes()))
        .collect();
    let auth: [&[u8]; 3] = [b"AUTH", login.0.as_bytes(), login.1.as_bytes()];
    let mut stream = TcpStream::connect(url.trim_start_matches("redis://"))?;
    stream.write_all(&encoded(&auth))?;
    stream.write_all(&encoded(&words))?;
    let mut answers = BufReader::new(stream).lines();
    let mut next = || {
        answers
            .next()
            .unwrap_or_else(|| Err(io::Error::other("no answer")))
    };
    let (logged_in, answer) = (next()?, next()?);
    if logged_in != "+OK" || answer.starts_with('-') {
        return Err(io::Error::other(format!("{logged_in} {answer}")));
    }
    Ok(answer == "+OK")
}

/// One command, and so many lines of its answer (RESP 2): not worth a library.
fn ask(url: &str, words: &[&[u8]], lines: usize) -> io::Result<Vec<String>> {
    let mut stream = TcpStream::connect(url.trim_start_matches("redis://"))?;
    stream.write_all(&encoded(words))?;
    let mut reader = BufReader::new(stream);
    let mut answer = Vec::new();
    for _ in 0..lines {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.starts_with('-') {
            return Err(io::Error::other(line));
        }
        answer.push(line);
    }
    Ok(answer)
}

fn encoded(words: &[&[u8]]) -> Vec<u8> {
    let mut command = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        command.extend(format!("${}\r\n", word.len()).bytes());
        command.extend(*word);
        command.extend(b"\r\n");
    }
    command
}
