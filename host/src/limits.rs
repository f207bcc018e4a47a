//! Every limit of the host in one place, each with the reason for its size.

use std::time::Duration;

/// Linear memory of one component instance, its composed dependencies included.
/// A shop component needs a few MiB; password hashing takes 19 MiB more for each one running.
pub const INSTANCE_MEMORY_BYTES: usize = 128 * 1024 * 1024;

/// Component instances alive at once in one host. Each reserves address space for its memories in the
/// pooling allocator (see `POOL_MEMORIES`), and sixteen requests share one instance.
pub const INSTANCES: u32 = 256;

/// Of these, instances of one component: a burst on one leaves room for the others, above all for those that it
/// calls. Together they take `INSTANCE_CONCURRENCY` times as many requests.
pub const INSTANCES_EACH: u32 = 64;

/// Linear memories in the pool: a service and one composed dependency for every instance. Each slot
/// reserves 4 GiB of address space, so one host reserves 2 TiB of the 128 TiB a process has; that
/// leaves room for dozens of hosts in one test process.
pub const POOL_MEMORIES: u32 = 2 * INSTANCES;

/// Core instances in the pool: each component brings its own module and a few adapter modules.
pub const POOL_CORE_INSTANCES: u32 = 16 * INSTANCES;

/// Tables in the pool: one or two for each core instance that has code.
pub const POOL_TABLES: u32 = 16 * INSTANCES;

/// Entries in one table; a Rust component has some hundreds to a few thousand functions in it.
pub const TABLE_ELEMENTS: usize = 50_000;

/// Stacks for running guest code: one for each request that is inside its guest.
pub const POOL_STACKS: u32 = 16 * INSTANCES;

/// Wait for a free instance before the answer is 503. Long enough for a burst to pass, short enough that
/// a client hears from us before it gives up.
pub const INSTANCE_WAIT: Duration = Duration::from_secs(5);

/// Requests that one instance takes in its life, and at once: what Spin does by default, so that a
/// component meets the same life on both hosts.
pub const INSTANCE_REUSE: usize = 128;
/// See [`INSTANCE_REUSE`].
pub const INSTANCE_CONCURRENCY: usize = 16;

/// An instance without work is dropped after this time, as Spin does.
pub const INSTANCE_IDLE: Duration = Duration::from_secs(1);

/// A request, a message handler or a tick that takes longer has failed.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// How often running guest code is interrupted to let other work go on. Also the grain of the timeout of
/// a guest that never yields.
pub const EPOCH_TICK: Duration = Duration::from_millis(10);

/// Interrupts that an instance may see since its last request began and still count as at work: hashing a
/// password takes 40 ms, a signature 16 ms. Beyond, it runs only every other beat, so that loops without end
/// slow the rest down by half at most until they time out.
pub const BUSY_TICKS: u32 = 25;

/// Requests inside the host at once; more are answered 503 rather than queued without end.
pub const REQUESTS_IN_FLIGHT: usize = 2048;

/// Client connections at once; each costs a task, two buffers and a file descriptor.
pub const CONNECTIONS: usize = 1024;

/// A client has this long to send the whole head of its next request, counted from the moment it connects or has
/// its last answer. Idle connections end with it, whatever protocol they speak and whatever else they send.
pub const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// A client has this long to send a small body, or the first part of a larger one; and again for each further part.
pub const BODY_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// A body up to this size is read whole before its request takes a place: what the shop's components accept.
pub const SMALL_BODY_BYTES: usize = 64 * 1024;

/// Unfinished bodies at once. They hold `SMALL_BODY_BYTES` each, 64 MiB together.
pub const UNFINISHED_BODIES: usize = 1024;

/// A client that has taken no part of its answers for this long does not read them.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Unsent bytes of answers that one connection may have in the host; enough for a web page. Beyond
/// it, answers stay in their components, which wait.
pub const UNSENT_BYTES_EACH: usize = 4 * 1024 * 1024;

/// The same for all connections together.
pub const UNSENT_BYTES: usize = 64 * 1024 * 1024;

/// A client that leaves more than this many answers in their components must take the next part of any within
/// `BACKLOG_TIMEOUT`: the components' memory is worth more than the host's.
pub const BACKLOG_ANSWERS: usize = 8;
/// See [`BACKLOG_ANSWERS`].
pub const BACKLOG_TIMEOUT: Duration = Duration::from_secs(1);

/// Requests of one HTTP/2 connection that are inside components at once; the others of its streams wait. It bounds
/// the answers that a client can order before the host can know that it does not read them.
pub const HTTP2_REQUESTS: usize = 16;

/// The host takes the output of a component in parts of this size.
pub const ANSWER_PART_BYTES: usize = 64 * 1024;

/// After its last answer, the host discards what the client still sends for this long, until the
/// client closes, too. Otherwise the system resets the connection, and the client may never see the
/// answer.
pub const LINGER: Duration = Duration::from_secs(2);

/// The head of a request, all header fields together. Common servers allow 8 to 64 KiB.
pub const REQUEST_HEAD_BYTES: usize = 32 * 1024;

/// Header fields of one request.
pub const REQUEST_HEADERS: usize = 100;

/// The body of a request. Components set their own, much lower, limits; this one guards the host.
pub const REQUEST_BODY_BYTES: usize = 16 * 1024 * 1024;

/// Concurrent streams of one HTTP/2 connection.
pub const HTTP2_STREAMS: u32 = 128;

/// Bytes of bodies that an HTTP/2 client may send ahead of their being read: for one stream, and for all of a
/// connection.
pub const HTTP2_STREAM_WINDOW: u32 = 128 * 1024;
/// See [`HTTP2_STREAM_WINDOW`].
pub const HTTP2_WINDOW: u32 = 256 * 1024;

/// How long the head of a response waits for the body, so that both leave in one packet.
/// Almost every body is there at once; a stream that is slower is not held up noticeably.
pub const BODY_GRACE: Duration = Duration::from_millis(2);

/// While the parts of a body follow each other that fast, the host takes them from the component for this long
/// before it begins to send: the component is free again, however slowly the client reads.
pub const BODY_GATHERING: Duration = Duration::from_millis(20);

/// A body up to this size is copied into one piece.
pub const WHOLE_BODY_BYTES: usize = 64 * 1024;

/// A graceful stop waits this long for running work.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Databases and stores that one instance may have open at once, as in Spin.
pub const OPEN_HANDLES: usize = 256;

/// Idle SQLite connections kept for each component and database. Opening one and preparing its
/// statements again costs more than most statements do.
pub const IDLE_CONNECTIONS: usize = 16;

/// Prepared statements kept for each SQLite connection: more than a service has statements.
pub const STATEMENT_CACHE: usize = 128;

/// Bytes of one query result, one value or one list of keys that the host holds for a guest.
pub const RESULT_BYTES: usize = 32 * 1024 * 1024;

/// A statement that ran within this time next runs on the thread that asked, if it waits for nobody. Handing it to another
/// thread and back takes some 10 to 20 microseconds and two switches.
pub const QUICK_STATEMENT: Duration = Duration::from_micros(150);

/// A writer waits so long for the others that write to the same file before it takes its chance with SQLite: what
/// components set as `busy_timeout`.
pub const WRITER_WAIT: Duration = Duration::from_secs(5);

/// Statements whose pace is remembered for each database: more than a service has.
pub const KNOWN_STATEMENTS: usize = 1024;

/// The longest SQL statement taken from a guest.
pub const STATEMENT_BYTES: usize = 1024 * 1024;

/// SQLite virtual machine steps between two looks at the clock.
pub const SQL_STEPS_PER_CHECK: i32 = 10_000;

/// A single SQL statement that runs longer is interrupted: its request has timed out already.
pub const STATEMENT_TIMEOUT: Duration = REQUEST_TIMEOUT;

/// Keys of the key-value store; Redis and Spin take more, nobody needs more.
pub const KEY_BYTES: usize = 64 * 1024;

/// Messages waiting for one component on one channel. Pub/sub promises nothing beyond "at most once", and
/// senders repeat what is not answered, so dropping is better than growing.
pub const CHANNEL_QUEUE: usize = 1024;

/// Longest wait between two attempts to reach Redis, and the first one. All that waits for an answer waits for
/// this too; an attempt every two seconds is no load on anybody.
pub const REDIS_BACKOFF_MAX: Duration = Duration::from_secs(2);
/// See [`REDIS_BACKOFF_MAX`].
pub const REDIS_BACKOFF_MIN: Duration = Duration::from_millis(100);

/// A Redis command without an answer has failed after this time; the guest's outbox tries again.
pub const REDIS_TIMEOUT: Duration = Duration::from_secs(5);

/// Redis connections to different addresses that guests may have opened.
pub const REDIS_ADDRESSES: usize = 64;

/// One line of a guest's standard output; a longer one is split.
pub const LOG_LINE_BYTES: usize = 8 * 1024;

/// The start waits this long for the first subscription to Redis, so that no message is missed right after
/// it. Without Redis it goes on.
pub const REDIS_START_WAIT: Duration = Duration::from_secs(2);

/// What clients may do, for a host that needs other limits than the defaults of this module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientLimits {
    /// See [`CONNECTIONS`].
    pub connections: usize,
    /// See [`HEADER_READ_TIMEOUT`].
    pub header_timeout: Duration,
    /// See [`BODY_READ_TIMEOUT`].
    pub body_timeout: Duration,
    /// See [`UNFINISHED_BODIES`].
    pub unfinished_bodies: usize,
    /// See [`WRITE_TIMEOUT`].
    pub write_timeout: Duration,
    /// See [`BACKLOG_TIMEOUT`].
    pub backlog_timeout: Duration,
    /// See [`UNSENT_BYTES_EACH`].
    pub unsent_bytes_each: usize,
    /// See [`UNSENT_BYTES`].
    pub unsent_bytes: usize,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            connections: CONNECTIONS,
            header_timeout: HEADER_READ_TIMEOUT,
            body_timeout: BODY_READ_TIMEOUT,
            unfinished_bodies: UNFINISHED_BODIES,
            write_timeout: WRITE_TIMEOUT,
            backlog_timeout: BACKLOG_TIMEOUT,
            unsent_bytes_each: UNSENT_BYTES_EACH,
            unsent_bytes: UNSENT_BYTES,
        }
    }
}
