//! One multiplexed connection to one Redis server, reconnecting by itself.

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{
    Client, Cmd, ConnectionAddr, ErrorKind, FromRedisValue, IntoConnectionInfo, RedisError,
    RedisResult,
};

use crate::limits::{REDIS_BACKOFF_MAX, REDIS_BACKOFF_MIN, REDIS_TIMEOUT, RESULT_BYTES};

/// Tries to reach the server within one command. A guest waits meanwhile, and its outbox tries again, so
/// few and quick ones.
const RETRIES: usize = 2;

/// A connection that is made at the first command.
#[derive(Clone)]
pub(crate) struct Link(ConnectionManager);

/// A client for `address`, with small packets sent at once. `rediss://` is TLS: the server's certificate must be signed by
/// an authority of the system, or of the file that `SSL_CERT_FILE` names, and be for the host in the address.
pub(crate) fn client(address: &str) -> RedisResult<Client> {
    let info = without_fragment(address)?.into_connection_info()?;
    if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
        // The embedder may have chosen another one.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    Client::open(info.set_tcp_settings(tcp))
}

/// A fragment tells addresses of one server apart (each has its own subscription) and is not sent.
/// The library gives a meaning only to `#insecure`: TLS without a check of the certificate. That is
/// refused.
fn without_fragment(address: &str) -> RedisResult<&str> {
    match address.split_once('#') {
        None => Ok(address),
        Some((_, "insecure")) => Err(RedisError::from((
            ErrorKind::InvalidClientConfig,
            "#insecure is not supported: name the certificate's authority in SSL_CERT_FILE",
        ))),
        Some((address, _)) => Ok(address),
    }
}

impl Link {
    pub fn open(address: &str) -> RedisResult<Self> {
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(RETRIES)
            .set_min_delay(REDIS_BACKOFF_MIN)
            .set_max_delay(REDIS_BACKOFF_MAX)
            .set_connection_timeout(Some(REDIS_TIMEOUT))
            .set_response_timeout(Some(REDIS_TIMEOUT));
        ConnectionManager::new_lazy_with_config(client(address)?, config).map(Self)
    }

    pub async fn query<R: FromRedisValue>(&self, command: &Cmd) -> RedisResult<R> {
        command.query_async(&mut self.0.clone()).await
    }

    /// All keys of the server, a part at a time; each once.
    pub async fn scan(&self) -> RedisResult<Vec<String>> {
        let mut keys = std::collections::BTreeSet::new();
        let (mut cursor, mut bytes) = (0u64, 0);
        loop {
            let command = redis::cmd("SCAN")
                .arg(cursor)
                .arg("COUNT")
                .arg(1000)
                .to_owned();
            let (next, part): (u64, Vec<String>) = self.query(&command).await?;
            bytes += part.iter().map(String::len).sum::<usize>();
            keys.extend(part);
            if next == 0 || bytes > RESULT_BYTES {
                return Ok(keys.into_iter().collect());
            }
            cursor = next;
        }
    }
}
