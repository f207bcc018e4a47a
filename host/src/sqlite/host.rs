//! The interface `spin:sqlite/sqlite@3.1.0` as the guest calls it.

use std::sync::Arc;

use wasmtime::component::{Accessor, FutureReader, Resource, StreamReader};

use super::in_line;
use super::query::{self, Outcome};
use super::{Database, OpenDatabase, Session};
use crate::bindings::spin::sqlite::sqlite::{
    Error, Host, HostConnection, HostConnectionWithStore, QueryResult, RowResult, Value,
};
use crate::calls::Calls;
use crate::state::{HostState, Spin};
use crate::world::World;

type Rows = (
    Vec<String>,
    StreamReader<RowResult>,
    FutureReader<Result<(), Error>>,
);

/// The database of that label, if the component may use it.
fn granted(state: &HostState, label: &str) -> Result<Arc<Database>, Error> {
    if !state.has_room() {
        return Err(Error::Io("too many connections opened".into()));
    }
    // Every granted label has a place: that was checked at start.
    state
        .grants
        .databases
        .get(label)
        .cloned()
        .ok_or(Error::AccessDenied)
}

async fn session(database: Arc<Database>, world: &World) -> Result<Arc<Session>, Error> {
    if let Some(session) = database.idle_session() {
        return Ok(session);
    }
    let opened = world.blocking(move || database.new_session()).await;
    opened
        .map_err(|error| Error::Io(error.to_string()))?
        .map_err(|error| Error::Io(error.to_string()))
}

/// Opens a database through the gate.
async fn open(
    calls: &Calls,
    database: Arc<Database>,
) -> wasmtime::Result<Result<Arc<Session>, Error>> {
    let open = session(database, calls.world());
    let fail = |reason: &str| Err(Error::Io(reason.to_owned()));
    calls.pass_or("sqlite.open", open, fail).await
}

fn keep(state: &mut HostState, session: Arc<Session>) -> wasmtime::Result<Resource<OpenDatabase>> {
    state.open_handles += 1;
    Ok(state.table.push(OpenDatabase(session))?)
}

/// Runs a statement through the gate.
async fn execute(
    calls: &Calls,
    session: Arc<Session>,
    sql: String,
    parameters: Vec<Value>,
) -> wasmtime::Result<Outcome> {
    let world = calls.world();
    let run = async {
        if world.is_simulated() {
            return in_line::run(&session, &sql, &parameters).await;
        }
        let run = |connection: &_| query::run(connection, &sql, &parameters);
        if let Some(outcome) = session.run_quickly(&sql, run) {
            return outcome;
        }
        // When its turn has come, the lock is often free: no need for another thread.
        if session.wait_for_turn(&sql).await
            && let Some(outcome) = session.run_quickly(&sql, run)
        {
            return outcome;
        }
        let work = move || {
            let run = |connection: &_| query::run(connection, &sql, &parameters);
            session.run(&sql, run)
        };
        let done = world.blocking(work).await;
        done.unwrap_or_else(|error| Outcome::failed(error.to_string()))
    };
    let fail = |reason: &str| Outcome::failed(reason.to_owned());
    calls.pass_or("sqlite.execute", run, fail).await
}

impl HostState {
    fn session(&self, handle: &Resource<OpenDatabase>) -> wasmtime::Result<Arc<Session>> {
        Ok(self.table.get(handle)?.0.clone())
    }
}

impl Host for HostState {}

impl HostConnection for HostState {
    async fn open(
        &mut self,
        label: String,
    ) -> wasmtime::Result<Result<Resource<OpenDatabase>, Error>> {
        let database = match granted(self, &label) {
            Ok(database) => database,
            Err(error) => return Ok(Err(error)),
        };
        match open(&self.calls.clone(), database).await? {
            Ok(session) => keep(self, session).map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn execute(
        &mut self,
        handle: Resource<OpenDatabase>,
        sql: String,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<Result<QueryResult, Error>> {
        let session = self.session(&handle)?;
        let outcome = execute(&self.calls, session, sql, parameters).await?;
        let Outcome {
            columns, rows, end, ..
        } = outcome;
        Ok(end.map_or(Ok(QueryResult { columns, rows }), Err))
    }

    async fn last_insert_rowid(&mut self, handle: Resource<OpenDatabase>) -> wasmtime::Result<i64> {
        let session = self.session(&handle)?;
        self.calls
            .pass("sqlite.last-insert-rowid", async move {
                session.last_insert_rowid()
            })
            .await
    }

    async fn changes(&mut self, handle: Resource<OpenDatabase>) -> wasmtime::Result<u64> {
        let session = self.session(&handle)?;
        self.calls
            .pass("sqlite.changes", async move { session.changes() })
            .await
    }

    async fn drop(&mut self, handle: Resource<OpenDatabase>) -> wasmtime::Result<()> {
        self.table.delete(handle)?;
        self.open_handles -= 1;
        Ok(())
    }
}

impl<T: Send> HostConnectionWithStore<T> for Spin {
    async fn open_async(
        accessor: &Accessor<T, Self>,
        label: String,
    ) -> wasmtime::Result<Result<Resource<OpenDatabase>, Error>> {
        let (database, calls) = accessor.with(|mut access| {
            let state = access.get();
            (granted(state, &label), state.calls.clone())
        });
        let database = match database {
            Ok(database) => database,
            Err(error) => return Ok(Err(error)),
        };
        match open(&calls, database).await? {
            Ok(session) => accessor
                .with(|mut access| keep(access.get(), session))
                .map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn execute_async(
        accessor: &Accessor<T, Self>,
        handle: Resource<OpenDatabase>,
        sql: String,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<Result<Rows, Error>> {
        let (session, calls) = session_of(accessor, &handle)?;
        let outcome = execute(&calls, session, sql, parameters).await?;
        let Outcome {
            columns, rows, end, ..
        } = outcome;
        accessor.with(|mut access| {
            let rows = StreamReader::new(&mut access, rows)?;
            let end = end.map_or(Ok(()), Err);
            let end = FutureReader::new(&mut access, async move { wasmtime::error::Ok(end) })?;
            Ok(Ok((columns, rows, end)))
        })
    }

    async fn last_insert_rowid_async(
        accessor: &Accessor<T, Self>,
        handle: Resource<OpenDatabase>,
    ) -> wasmtime::Result<i64> {
        let (session, calls) = session_of(accessor, &handle)?;
        calls
            .pass("sqlite.last-insert-rowid", async move {
                session.last_insert_rowid()
            })
            .await
    }

    async fn changes_async(
        accessor: &Accessor<T, Self>,
        handle: Resource<OpenDatabase>,
    ) -> wasmtime::Result<u64> {
        let (session, calls) = session_of(accessor, &handle)?;
        calls
            .pass("sqlite.changes", async move { session.changes() })
            .await
    }
}

fn session_of<T: Send>(
    accessor: &Accessor<T, Spin>,
    handle: &Resource<OpenDatabase>,
) -> wasmtime::Result<(Arc<Session>, Calls)> {
    accessor.with(|mut access| {
        let state = access.get();
        Ok((state.session(handle)?, state.calls.clone()))
    })
}
