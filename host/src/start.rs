//! The last steps of a start: compile, link, and set everything in motion.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use wasmtime::Engine;
use wasmtime::component::InstancePre;

use crate::app::App;
use crate::background::Background;
use crate::bindings::exports::spin::redis::inbound_redis;
use crate::builder::HostBuilder;
use crate::calls::{Calls, Gate};
use crate::channels::worker::Worker;
use crate::channels::{Channels, Listener, subscriber};
use crate::code::Code;
use crate::component::{Component, Instances};
use crate::engine::Heartbeat;
use crate::fault::StartError;
use crate::free_memory;
use crate::grants::Grants;
use crate::host::{Host, Parts};
use crate::http::pool::HttpPool;
use crate::http::routes::Routes;
use crate::http::server::{self, NO_CLIENT};
use crate::limits::{INSTANCES, INSTANCES_EACH, REDIS_START_WAIT};
use crate::plan::{ComponentPlan, Plan, Subscription};
use crate::redis::Connections;
use crate::room::{Room, Seats};
use crate::state::HostState;
use crate::stop::{self, Stop};
use crate::tick::{TickPlan, Ticker};

/// Brings the plan to life.
pub(crate) async fn start(
    builder: HostBuilder,
    mut plan: Plan,
    routes: Routes,
    listener: Option<TcpListener>,
    servers: bool,
    cache: &Path,
) -> Result<Host, StartError> {
    let begun = Instant::now();
    let make = || Code::new(cache, builder.instance_memory);
    #[cfg(feature = "faults")]
    let code = match builder.world.is_simulated() {
        true => crate::faults::code(cache, make)?,
        false => Arc::new(make()?),
    };
    #[cfg(not(feature = "faults"))]
    let code = make()?;
    let linked = code.link(&plan.components).await?;
    free_memory::give_back();
    // In a simulation nothing comes from another thread.
    let heartbeat = match builder.world.is_simulated() {
        true => None,
        false => Some(
            Heartbeat::start(&code.engine)
                .map_err(|error| StartError::one(format!("cannot start a thread: {error}")))?,
        ),
    };

    let gate = Arc::new(builder.gate());
    let in_process = Arc::new(Channels::new(gate.clone()));
    let connections = Arc::new(match servers {
        true => Connections::to_servers(),
        false => Connections::InProcess(in_process.clone()),
    });
    let (redis, memory_bytes) = (connections.clone(), builder.instance_memory);
    let background = match plan.components.iter().any(|plan| plan.is_background) {
        // One after the other, in a simulation, is all there is.
        true if !builder.world.is_simulated() => {
            Some(Arc::new(Background::start().map_err(|error| {
                StartError::one(format!("cannot start a thread: {error}"))
            })?))
        }
        _ => None,
    };
    let shared = Shared {
        engine: code.engine.clone(),
        redis,
        gate: gate.clone(),
        memory_bytes,
        background,
    };
    let plans = std::mem::take(&mut plan.components).into_iter().zip(linked);
    let app = Arc::new_cyclic(|app| {
        App::new(
            components(plans, &shared, builder.request_timeout, app),
            routes,
        )
    });

    let address = match &listener {
        Some(listener) => listener
            .local_addr()
            .map_err(|error| StartError::one(format!("cannot listen: {error}")))?,
        None => NO_CLIENT,
    };
    app.listens_on(address);
    let redis_address = plan.redis_address.take().unwrap_or_default();
    let (stop, stopped) = stop::channel();
    let mut motion = Motion {
        app: &app,
        gate: gate.clone(),
        stopped,
        timeout: builder.request_timeout,
        tasks: vec![],
    };
    match servers {
        true => motion.listen_to_servers(plan.subscriptions).await,
        false => motion.listen(&in_process, plan.subscriptions),
    }
    let tickers = motion.tick(plan.ticks, builder.ticks);
    if let Some(listener) = listener {
        let (limits, stopped) = (builder.client_limits, motion.stopped.clone());
        motion.spawn(server::run(listener, app.clone(), limits, stopped));
    }
    let tasks = motion.tasks;
    let ms = begun.elapsed().as_millis() as u64;
    tracing::info!(%address, components = app.components.len(), ms, "ready");
    Ok(Host::new(Parts {
        address,
        app,
        connections,
        redis_address,
        stop,
        gate,
        tasks,
        tickers,
        files: plan.files,
        _heartbeat: heartbeat,
    }))
}

/// What all components have in common.
struct Shared {
    engine: Engine,
    redis: Arc<Connections>,
    gate: Arc<Gate>,
    memory_bytes: usize,
    background: Option<Arc<Background>>,
}

fn components(
    plans: impl Iterator<Item = (ComponentPlan, InstancePre<HostState>)>,
    shared: &Shared,
    timeout: Duration,
    app: &Weak<App>,
) -> BTreeMap<Arc<str>, Arc<Component>> {
    let seats = Seats::new(INSTANCES);
    let mut components = BTreeMap::new();
    for (plan, pre) in plans {
        let (id, is_background) = (plan.id.clone(), plan.is_background);
        let instances = Arc::new(Instances {
            engine: shared.engine.clone(),
            calls: Calls::new(id.clone(), shared.gate.clone()),
            grants: Arc::new(Grants {
                component: id.clone(),
                variables: plan.variables,
                environment: plan.environment,
                databases: plan.databases,
                stores: plan.stores,
                hosts: plan.hosts,
                redis: shared.redis.clone(),
            }),
            room: Room::new(INSTANCES_EACH, seats.clone()),
            memory_bytes: shared.memory_bytes,
            app: app.clone(),
            pre,
        });
        let component = Component {
            http: HttpPool::new(
                instances.clone(),
                timeout,
                shared.background.clone().filter(|_| is_background),
            ),
            redis: inbound_redis::GuestIndices::new(&instances.pre).ok(),
            id: id.clone(),
            instances,
        };
        components.insert(id, Arc::new(component));
    }
    components
}

/// Setting everything in motion.
struct Motion<'a> {
    app: &'a Arc<App>,
    gate: Arc<Gate>,
    stopped: Stop,
    timeout: Duration,
    tasks: Vec<JoinHandle<()>>,
}

impl Motion<'_> {
    fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.push(tokio::spawn(task));
    }

    /// A queue and a worker for each subscription. Without a server every address means this process.
    fn listen(&mut self, channels: &Channels, subscriptions: Vec<Subscription>) {
        let mut listeners: HashMap<String, Vec<Listener>> = HashMap::new();
        for Subscription {
            channel, component, ..
        } in subscriptions
        {
            let component = self.app.components[component.as_str()].clone();
            let (listener, messages) = Listener::new(component.id.clone());
            let worker = Worker::new(component, channel.clone(), self.timeout);
            self.spawn(worker.run(messages, self.stopped.clone()));
            listeners.entry(channel).or_default().push(listener);
        }
        channels.fill(listeners);
    }

    /// A subscriber for each address. Waits a moment for the first attempts, so that a message published
    /// right after the start is not missed.
    async fn listen_to_servers(&mut self, subscriptions: Vec<Subscription>) {
        let mut by_address: BTreeMap<String, Vec<Subscription>> = BTreeMap::new();
        for subscription in subscriptions {
            by_address
                .entry(subscription.address.clone())
                .or_default()
                .push(subscription);
        }
        let mut attempts = Vec::new();
        for (address, subscriptions) in by_address {
            let channels = Arc::new(Channels::new(self.gate.clone()));
            self.listen(&channels, subscriptions);
            let (settled, attempt) = watch::channel(false);
            attempts.push(attempt);
            self.spawn(subscriber::run(
                address,
                channels,
                self.stopped.clone(),
                settled,
            ));
        }
        let all = async {
            for mut attempt in attempts {
                let _ = attempt.wait_for(|settled| *settled).await;
            }
        };
        // Too late is no fault: the subscriber goes on trying.
        let _ = tokio::time::timeout(REDIS_START_WAIT, all).await;
    }

    fn tick(&mut self, plans: Vec<TickPlan>, by_themselves: bool) -> Vec<Arc<Ticker>> {
        let new = |plan| Arc::new(Ticker::new(plan, self.app.clone()));
        let tickers: Vec<_> = plans.into_iter().map(new).collect();
        if by_themselves {
            for ticker in &tickers {
                self.spawn(ticker.clone().run(self.stopped.clone()));
            }
        }
        tickers
    }
}
