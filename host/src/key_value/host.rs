//! The interface `spin:key-value/key-value@3.0.0` as the guest calls it.

use std::sync::Arc;

use wasmtime::component::{Accessor, FutureReader, Resource, StreamReader};

use super::{OpenStore, Store};
use crate::bindings::spin::key_value::key_value::{Error, Host, HostStore, HostStoreWithStore};
use crate::calls::Calls;
use crate::state::{HostState, Spin};

impl Host for HostState {}

impl HostStore for HostState {
    async fn drop(&mut self, handle: Resource<OpenStore>) -> wasmtime::Result<()> {
        self.table.delete(handle)?;
        self.open_handles -= 1;
        Ok(())
    }
}

fn open(
    state: &mut HostState,
    label: &str,
) -> wasmtime::Result<Result<Resource<OpenStore>, Error>> {
    if !state.has_room() {
        return Ok(Err(Error::StoreTableFull));
    }
    // Every granted label has a place: that was checked at start.
    let Some(store) = state.grants.stores.get(label).cloned() else {
        return Ok(Err(Error::AccessDenied));
    };
    state.open_handles += 1;
    Ok(Ok(state.table.push(OpenStore(store))?))
}

fn store_of<T: Send>(
    accessor: &Accessor<T, Spin>,
    handle: &Resource<OpenStore>,
) -> wasmtime::Result<(Arc<Store>, Calls)> {
    accessor.with(|mut access| {
        let state = access.get();
        Ok((state.table.get(handle)?.0.clone(), state.calls.clone()))
    })
}

impl<T: Send> HostStoreWithStore<T> for Spin {
    async fn open(
        accessor: &Accessor<T, Self>,
        label: String,
    ) -> wasmtime::Result<Result<Resource<OpenStore>, Error>> {
        let calls = accessor.with(|mut access| access.get().calls.clone());
        calls.pass("key-value.open", async {}).await?;
        accessor.with(|mut access| open(access.get(), &label))
    }

    async fn get(
        accessor: &Accessor<T, Self>,
        handle: Resource<OpenStore>,
        key: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        let (store, calls) = store_of(accessor, &handle)?;
        calls.pass("key-value.get", store.get(&key)).await
    }

    async fn set(
        accessor: &Accessor<T, Self>,
        handle: Resource<OpenStore>,
        key: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let (store, calls) = store_of(accessor, &handle)?;
        let set = store.set(calls.world(), key, value);
        calls.pass("key-value.set", set).await
    }

    async fn delete(
        accessor: &Accessor<T, Self>,
        handle: Resource<OpenStore>,
        key: String,
    ) -> wasmtime::Result<Result<(), Error>> {
        let (store, calls) = store_of(accessor, &handle)?;
        let delete = store.delete(calls.world(), key);
        calls.pass("key-value.delete", delete).await
    }

    async fn exists(
        accessor: &Accessor<T, Self>,
        handle: Resource<OpenStore>,
        key: String,
    ) -> wasmtime::Result<Result<bool, Error>> {
        let (store, calls) = store_of(accessor, &handle)?;
        calls.pass("key-value.exists", store.exists(&key)).await
    }

    async fn get_keys(
        accessor: &Accessor<T, Self>,
        handle: Resource<OpenStore>,
    ) -> wasmtime::Result<(StreamReader<String>, FutureReader<Result<(), Error>>)> {
        let (store, calls) = store_of(accessor, &handle)?;
        let (keys, end) = match calls
            .pass("key-value.get-keys", store.keys(calls.world()))
            .await?
        {
            Ok(keys) => (keys, Ok(())),
            Err(error) => (Vec::new(), Err(error)),
        };
        accessor.with(|mut access| {
            let keys = StreamReader::new(&mut access, keys)?;
            let end = FutureReader::new(&mut access, async move { wasmtime::error::Ok(end) })?;
            Ok((keys, end))
        })
    }
}
