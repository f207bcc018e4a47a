//! The interface `spin:redis/redis@3.0.0` as the guest calls it.

use redis::{Cmd, FromRedisValue, RedisError, Value, cmd};
use wasmtime::component::{Accessor, Resource};

use super::{OpenConnection, OpenError};
use crate::bindings::spin::redis::redis::{
    Error, Host, HostConnection, HostConnectionWithStore, RedisParameter, RedisResult,
};
use crate::calls::Calls;
use crate::limits::RESULT_BYTES;
use crate::state::{HostState, Spin};

type Answer<T> = wasmtime::Result<Result<T, Error>>;

impl Host for HostState {}

impl HostConnection for HostState {
    async fn drop(&mut self, handle: Resource<OpenConnection>) -> wasmtime::Result<()> {
        self.table.delete(handle)?;
        self.open_handles -= 1;
        Ok(())
    }
}

fn connection_of<T: Send>(
    accessor: &Accessor<T, Spin>,
    handle: &Resource<OpenConnection>,
) -> wasmtime::Result<(OpenConnection, Calls)> {
    accessor.with(|mut access| {
        let state = access.get();
        Ok((state.table.get(handle)?.clone(), state.calls.clone()))
    })
}

fn open(state: &mut HostState, address: &str) -> Answer<Resource<OpenConnection>> {
    if !state.grants.hosts.allows(address, "redis") {
        return Ok(Err(Error::InvalidAddress));
    }
    if !state.has_room() {
        return Ok(Err(Error::TooManyConnections));
    }
    match state.grants.redis.open(address) {
        Ok(connection) => {
            state.open_handles += 1;
            Ok(Ok(state.table.push(connection)?))
        }
        Err(OpenError::BadAddress) => Ok(Err(Error::InvalidAddress)),
        Err(OpenError::TooMany) => Ok(Err(Error::TooManyConnections)),
    }
}

/// Sends one command through the gate.
async fn query<T: Send, R: FromRedisValue + Send>(
    accessor: &Accessor<T, Spin>,
    handle: Resource<OpenConnection>,
    name: &'static str,
    command: &Cmd,
) -> Answer<R> {
    let (connection, calls) = connection_of(accessor, &handle)?;
    let ask = async {
        let link = connection.server().map_err(Error::Other)?;
        link.query(command).await.map_err(error)
    };
    calls.pass(name, ask).await
}

fn error(error: RedisError) -> Error {
    // "WRONGTYPE …" comes from the server as a code of its own.
    if error.code() == Some("WRONGTYPE") || error.to_string().contains("not an integer") {
        return Error::TypeError;
    }
    Error::Other(error.to_string())
}

impl<T: Send> HostConnectionWithStore<T> for Spin {
    async fn open(
        accessor: &Accessor<T, Self>,
        address: String,
    ) -> Answer<Resource<OpenConnection>> {
        let calls = accessor.with(|mut access| access.get().calls.clone());
        calls.pass("redis.open", async {}).await?;
        accessor.with(|mut access| open(access.get(), &address))
    }

    async fn publish(
        accessor: &Accessor<T, Self>,
        handle: Resource<OpenConnection>,
        channel: String,
        payload: Vec<u8>,
    ) -> Answer<()> {
        let (connection, calls) = connection_of(accessor, &handle)?;
        let publish = async {
            connection
                .publish(&channel, payload.into())
                .await
                .map_err(Error::Other)
        };
        calls
            .pass_or("redis.publish", publish, |reason| {
                Err(Error::Other(reason.to_owned()))
            })
            .await
    }

    async fn get(
        accessor: &Accessor<T, Self>,
        handle: Resource<OpenConnection>,
        key: String,
    ) -> Answer<Option<Vec<u8>>> {
        query(accessor, handle, "redis.get", cmd("GET").arg(key)).await
    }

    async fn set(
        accessor: &Accessor<T, Self>,
        handle: Resource<OpenConnection>,
        key: String,
        value: Vec<u8>,
    ) -> Answer<()> {
        query(
            accessor,
            handle,
            "redis.set",
            cmd("SET").arg(key).arg(value),
        )
        .await
    }

    async fn incr(
        accessor: &Accessor<T, Self>,
        handle: Resource<OpenConnection>,
        key: String,
    ) -> Answer<i64> {
        query(accessor, handle, "redis.incr", cmd("INCR").arg(key)).await
    }

    async fn del(
        accessor: &Accessor<T, Self>,
        handle: Resource<OpenConnection>,
        keys: Vec<String>,
    ) -> Answer<u32> {
        query(accessor, handle, "redis.del", cmd("DEL").arg(keys)).await
    }

    async fn sadd(
        accessor: &Accessor<T, Self>,
        handle: Resource<OpenConnection>,
        key: String,
        values: Vec<String>,
    ) -> Answer<u32> {
        query(
            accessor,
            handle,
            "redis.sadd",
            cmd("SADD").arg(key).arg(values),
        )
        .await
    }

    async fn smembers(
        accessor: &Accessor<T, Self>,
        handle: Resource<OpenConnection>,
        key: String,
    ) -> Answer<Vec<String>> {
        query(accessor, handle, "redis.smembers", cmd("SMEMBERS").arg(key)).await
    }

    async fn srem(
        accessor: &Accessor<T, Self>,
        handle: Resource<OpenConnection>,
        key: String,
        values: Vec<String>,
    ) -> Answer<u32> {
        query(
            accessor,
            handle,
            "redis.srem",
            cmd("SREM").arg(key).arg(values),
        )
        .await
    }

    async fn execute(
        accessor: &Accessor<T, Self>,
        handle: Resource<OpenConnection>,
        command: String,
        arguments: Vec<RedisParameter>,
    ) -> Answer<Vec<RedisResult>> {
        let mut command = cmd(&command);
        for argument in arguments {
            match argument {
                RedisParameter::Int64(number) => command.arg(number),
                RedisParameter::Binary(bytes) => command.arg(bytes),
            };
        }
        let value: Result<Value, Error> =
            match query(accessor, handle, "redis.execute", &command).await? {
                Ok(value) => Ok(value),
                Err(error) => return Ok(Err(error)),
            };
        let mut flat = Vec::new();
        Ok(value
            .and_then(|value| flatten(value, &mut flat))
            .map(|()| flat))
    }
}

/// Redis answers with nested values; the interface has only a flat list.
fn flatten(value: Value, flat: &mut Vec<RedisResult>) -> Result<(), Error> {
    match value {
        Value::Nil => flat.push(RedisResult::Nil),
        Value::Int(number) => flat.push(RedisResult::Int64(number)),
        Value::BulkString(bytes) => {
            if bytes.len() > RESULT_BYTES {
                let text = format!("query result exceeds limit of {RESULT_BYTES} bytes");
                return Err(Error::Other(text));
            }
            flat.push(RedisResult::Binary(bytes));
        }
        Value::SimpleString(text) => flat.push(RedisResult::Status(text)),
        Value::Okay => flat.push(RedisResult::Status("OK".into())),
        Value::Array(values) | Value::Set(values) => {
            for value in values {
                flatten(value, flat)?;
            }
        }
        Value::Map(pairs) => {
            for (key, value) in pairs {
                flatten(key, flat)?;
                flatten(value, flat)?;
            }
        }
        other => {
            return Err(Error::Other(format!(
                "answer of an unknown kind: {other:?}"
            )));
        }
    }
    Ok(())
}
