//! The interface `spin:variables/variables@3.0.0` as the guest calls it.

use wasmtime::component::Accessor;

use crate::bindings::spin::variables::variables::{Error, Host, HostWithStore};
use crate::grants::Value;
use crate::state::{HostState, Spin};
use crate::variables::check_name;

impl Host for HostState {}

impl<T: Send> HostWithStore<T> for Spin {
    async fn get(
        accessor: &Accessor<T, Self>,
        name: String,
    ) -> wasmtime::Result<Result<String, Error>> {
        let (grants, calls) = accessor.with(|mut access| {
            let state = access.get();
            (state.grants.clone(), state.calls.clone())
        });
        let find = async {
            check_name(&name).map_err(Error::InvalidName)?;
            grants.variables.get(&name).map(Value::get).ok_or_else(|| {
                Error::Undefined(format!("no variable for {:?}.{name:?}", &*grants.component))
            })
        };
        calls.pass("variables.get", find).await
    }
}
