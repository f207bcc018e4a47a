//! HTTP/1.1 by hand, for requests that no client library would send.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A client that writes its requests by hand, on one connection.
pub struct Wire {
    stream: BufReader<TcpStream>,
    host: String,
}

impl Wire {
    /// A connection to the shop.
    pub fn to(address: SocketAddr) -> Wire {
        let stream = TcpStream::connect(address).expect("connected");
        let patience = Some(Duration::from_secs(20));
        stream.set_read_timeout(patience).expect("a timeout");
        Wire {
            stream: BufReader::new(stream),
            host: address.to_string(),
        }
    }

    /// Sends a request and gives the status and the body of the answer.
    pub fn ask(&mut self, method: &str, path: &str, fields: &[&str], body: &[u8]) -> (u16, String) {
        self.send_head(method, path, fields);
        self.stream.get_mut().write_all(body).expect("a body");
        self.answer()
    }

    /// As [`Wire::ask`], but the body is sent only when the server asks for it (`Expect: 100-continue`).
    pub fn ask_first(
        &mut self,
        method: &str,
        path: &str,
        fields: &[&str],
        body: &[u8],
    ) -> (u16, String) {
        self.send_head(method, path, fields);
        let first = self.answer();
        if first.0 != 100 {
            return first;
        }
        self.stream.get_mut().write_all(body).expect("a body");
        self.answer()
    }

    fn send_head(&mut self, method: &str, path: &str, fields: &[&str]) {
        let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        let host = &self.host;
        let head = format!("{method} /api/v1{path} HTTP/1.1\r\nhost: {host}\r\n{fields}\r\n");
        let stream = self.stream.get_mut();
        stream.write_all(head.as_bytes()).expect("a head");
    }

    fn answer(&mut self) -> (u16, String) {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("a status line");
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status: {line:?}"));
        let mut length = 0;
        loop {
            line.clear();
            self.stream.read_line(&mut line).expect("a field");
            if line.trim().is_empty() {
                break;
            }
            let field = line.to_ascii_lowercase();
            if let Some(value) = field.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).expect("a body");
        (status, String::from_utf8_lossy(&body).into_owned())
    }
}
