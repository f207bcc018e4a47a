//! The last steps of a start: compile, link, and set everything in motion.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Instant;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use wasmtime::Engine;
use wasmtime::component::{InstancePre, Linker};

use crate::app::App;
use crate::bindings::exports::spin::redis::inbound_redis;
use crate::builder::HostBuilder;
use crate::calls::Calls;
use crate::channels::worker::Worker;
use crate::channels::{Channels, Listener, subscriber};
use crate::component::{Component, Instances};
use crate::engine::{self, Heartbeat};
use crate::fault::{Faults, StartError};
use crate::grants::Grants;
use crate::host::{Host, Parts};
use crate::http::pool::HttpPool;
use crate::http::routes::Routes;
use crate::http::server;
use crate::limits::{INSTANCES, REDIS_START_WAIT};
use crate::plan::{ComponentPlan, Plan, Subscription};
use crate::redis::Connections;
use crate::state::HostState;
use crate::stop::{self, Stop};
use crate::tick::Ticker;

/// Brings the plan to life.
pub(crate) async fn start(
    builder: HostBuilder,
    plan: Plan,
    routes: Routes,
    listener: TcpListener,
    servers: bool,
    cache: &Path,
) -> Result<Host, StartError> {
    let begun = Instant::now();
    let fail = |error: wasmtime::Error| StartError::one(format!("{error:#}"));
    std::fs::create_dir_all(cache)
        .map_err(|error| StartError::one(format!("{}: {error}", cache.display())))?;
    let engine = engine::engine(cache, builder.instance_memory).map_err(fail)?;
    let linker = Arc::new(engine::linker(&engine).map_err(fail)?);
    let heartbeat = Heartbeat::start(&engine)
        .map_err(|error| StartError::one(format!("cannot start a thread: {error}")))?;

    let mut plan = plan;
    let compiled = compile(&engine, &linker, &mut plan.components).await?;
    let in_process = Arc::new(Channels::default());
    let connections = Arc::new(match servers {
        true => Connections::to_servers(),
        false => Connections::InProcess(in_process.clone()),
    });
    let shared = Shared {
        engine,
        connections: connections.clone(),
    };
    let app = Arc::new_cyclic(|app| {
        App::new(
            components(&builder, plan.components, compiled, &shared, app),
            routes,
        )
    });

    let address = listener
        .local_addr()
        .map_err(|error| StartError::one(format!("cannot listen: {error}")))?;
    app.listens_on(address);
    let (stop, stopped) = stop::channel();
    let mut tasks = Vec::new();
    let listening = Listening {
        app: &app,
        builder: &builder,
        stopped: &stopped,
    };
    if servers {
        listening.to_servers(plan.subscriptions, &mut tasks).await;
    } else {
        listening.in_process(plan.subscriptions, &in_process, &mut tasks);
    }
    tasks.push(tokio::spawn(server::run(
        listener,
        app.clone(),
        stopped.clone(),
    )));
    let tickers: Vec<_> = plan
        .ticks
        .into_iter()
        .map(|plan| Arc::new(Ticker::new(plan, app.clone())))
        .collect();
    if builder.ticks {
        let running = tickers
            .iter()
            .map(|ticker| tokio::spawn(ticker.clone().run(stopped.clone())));
        tasks.extend(running);
    }
    tracing::info!(%address, components = app.components.len(), ms = begun.elapsed().as_millis() as u64, "ready");
    let redis_address = plan.redis_address.unwrap_or_default();
    Ok(Host::new(Parts {
        address,
        app,
        connections,
        redis_address,
        stop,
        tasks,
        tickers,
        heartbeat,
    }))
}

/// Compiles and links all components at the same time.
async fn compile(
    engine: &Engine,
    linker: &Arc<Linker<HostState>>,
    plans: &mut [ComponentPlan],
) -> Result<Vec<InstancePre<HostState>>, StartError> {
    let running: Vec<JoinHandle<Result<_, String>>> = plans
        .iter_mut()
        .map(|plan| {
            let (engine, linker) = (engine.clone(), linker.clone());
            let (id, wasm) = (plan.id.clone(), std::mem::take(&mut plan.wasm));
            tokio::task::spawn_blocking(move || {
                wasmtime::component::Component::new(&engine, wasm)
                    .and_then(|component| linker.instantiate_pre(&component))
                    .map_err(|error| format!("component `{id}`: {error:#}"))
            })
        })
        .collect();
    let faults = Faults::default();
    let mut compiled = Vec::new();
    for task in running {
        let result = task.await.unwrap_or_else(|error| Err(error.to_string()));
        compiled.extend(result.map_err(|error| faults.add(error)).ok());
    }
    faults.check()?;
    Ok(compiled)
}

/// What all components have in common.
struct Shared {
    engine: Engine,
    connections: Arc<Connections>,
}

fn components(
    builder: &HostBuilder,
    plans: Vec<ComponentPlan>,
    compiled: Vec<InstancePre<HostState>>,
    shared: &Shared,
    app: &Weak<App>,
) -> BTreeMap<Arc<str>, Arc<Component>> {
    let room = Arc::new(Semaphore::new(INSTANCES as usize));
    let mut components = BTreeMap::new();
    for (plan, pre) in plans.into_iter().zip(compiled) {
        let id = plan.id.clone();
        let instances = Arc::new(Instances {
            engine: shared.engine.clone(),
            calls: Calls::new(id.clone(), builder.hook.clone()),
            grants: Arc::new(Grants {
                component: id.clone(),
                variables: plan.variables,
                environment: plan.environment,
                databases: plan.databases,
                stores: plan.stores,
                hosts: plan.hosts,
                redis: shared.connections.clone(),
            }),
            room: room.clone(),
            memory_bytes: builder.instance_memory,
            app: app.clone(),
            pre,
        });
        let component = Component {
            http: HttpPool::new(instances.clone(), builder.request_timeout),
            redis: inbound_redis::GuestIndices::new(&instances.pre).ok(),
            id: id.clone(),
            instances,
        };
        components.insert(id, Arc::new(component));
    }
    components
}

/// Setting up the listeners of the channels.
struct Listening<'a> {
    app: &'a Arc<App>,
    builder: &'a HostBuilder,
    stopped: &'a Stop,
}

impl Listening<'_> {
    /// A queue and a worker for each subscription.
    fn fill(
        &self,
        channels: &Channels,
        subscriptions: Vec<Subscription>,
        tasks: &mut Vec<JoinHandle<()>>,
    ) {
        let mut listeners: HashMap<String, Vec<Listener>> = HashMap::new();
        for Subscription {
            channel, component, ..
        } in subscriptions
        {
            let component = self.app.components[component.as_str()].clone();
            let (listener, messages) = Listener::new(component.id.clone());
            let worker = Worker::new(component, channel.clone(), self.builder.request_timeout);
            tasks.push(tokio::spawn(worker.run(messages, self.stopped.clone())));
            listeners.entry(channel).or_default().push(listener);
        }
        channels.fill(listeners);
    }

    /// Without a server every address means this process.
    fn in_process(
        &self,
        subscriptions: Vec<Subscription>,
        channels: &Channels,
        tasks: &mut Vec<JoinHandle<()>>,
    ) {
        self.fill(channels, subscriptions, tasks);
    }

    /// A subscriber for each address. Waits a moment for the first attempts, so that a message published
    /// right after the start is not missed.
    async fn to_servers(&self, subscriptions: Vec<Subscription>, tasks: &mut Vec<JoinHandle<()>>) {
        let mut by_address: BTreeMap<String, Vec<Subscription>> = BTreeMap::new();
        for subscription in subscriptions {
            by_address
                .entry(subscription.address.clone())
                .or_default()
                .push(subscription);
        }
        let mut attempts = Vec::new();
        for (address, subscriptions) in by_address {
            let channels = Arc::new(Channels::default());
            self.fill(&channels, subscriptions, tasks);
            let (settled, attempt) = watch::channel(false);
            attempts.push(attempt);
            let subscriber = subscriber::run(address, channels, self.stopped.clone(), settled);
            tasks.push(tokio::spawn(subscriber));
        }
        let all = async {
            for mut attempt in attempts {
                let _ = attempt.wait_for(|settled| *settled).await;
            }
        };
        // Too late is no fault: the subscriber goes on trying.
        let _ = tokio::time::timeout(REDIS_START_WAIT, all).await;
    }
}
