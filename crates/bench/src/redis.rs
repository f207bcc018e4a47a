//! A Redis server of the bench's own, and the three commands that the bench needs.

use crate::host::free_port;
use anyhow::{Context, ensure};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server that keeps nothing, on a port of its own.
pub struct Redis {
    child: Child,
    pub port: u16,
}

impl Redis {
    /// Whether there is a `redis-server` on PATH.
    pub fn is_there() -> bool {
        let mut command = Command::new("redis-server");
        command.arg("--version").stdout(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    pub fn start() -> anyhow::Result<Redis> {
        Redis::start_on(free_port()?)
    }

    /// Starts it and waits until it answers.
    pub fn start_on(port: u16) -> anyhow::Result<Redis> {
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn()
            .context("can't start redis-server")?;
        let redis = Redis { child, port };
        let begun = Instant::now();
        while !redis.answers() {
            ensure!(
                begun.elapsed() < Duration::from_secs(10),
                "Redis does not answer"
            );
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(redis)
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else {
            return false;
        };
        let mut answer = [0; 5];
        stream.write_all(b"PING\r\n").is_ok()
            && stream.read_exact(&mut answer).is_ok()
            && &answer == b"+PONG"
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A connection to send commands on (RESP).
pub struct Link {
    stream: BufReader<TcpStream>,
}

impl Link {
    pub fn open(url: &str) -> anyhow::Result<Link> {
        let address = url.strip_prefix("redis://").unwrap_or(url);
        let stream = TcpStream::connect(address.trim_end_matches('/'))?;
        stream.set_nodelay(true)?;
        Ok(Link {
            stream: BufReader::new(stream),
        })
    }

    /// Publishes a message; to how many it went.
    pub fn publish(&mut self, channel: &str, message: &str) -> anyhow::Result<u64> {
        self.integer(&["PUBLISH", channel, message])
    }

    fn integer(&mut self, words: &[&str]) -> anyhow::Result<u64> {
        self.send(words)?;
        let line = self.line()?;
        let number = line.strip_prefix(':').with_context(|| line.clone())?;
        Ok(number.parse()?)
    }

    fn send(&mut self, words: &[&str]) -> anyhow::Result<()> {
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        Ok(self.stream.get_mut().write_all(command.as_bytes())?)
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}

/// How many listen to a channel.
pub fn subscribers(url: &str, channel: &str) -> anyhow::Result<u64> {
    let mut link = Link::open(url)?;
    link.send(&["PUBSUB", "NUMSUB", channel])?;
    // An array of the name and the count: `*2`, `$4`, `acks`, `:1`.
    for _ in 0..3 {
        link.line()?;
    }
    let line = link.line()?;
    let number = line.strip_prefix(':').with_context(|| line.clone())?;
    Ok(number.parse()?)
}
