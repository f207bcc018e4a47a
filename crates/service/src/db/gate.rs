//! The queue in which the writers of one instance wait for each other, rather than in SQLite's busy
//! handler, which sleeps, and the whole instance with it.
//!
//! A lock of plain Rust will not do: wit-bindgen 0.57 can't wake the task of one request from that of
//! another (its feature for that, `inter-task-wakeup`, traps on wasmtime 48; mended after 0.57 in
//! bytecodealliance/wit-bindgen#1638). So each waiter reads a stream whose other end lies in the queue.
//! Dropping that end is the call to come, and the host delivers it.

use spin_sdk::wasip3::wit_bindgen::StreamWriter;
use spin_sdk::wasip3::wit_stream;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

struct Gate {
    taken: bool,
    next_ticket: u64,
    waiting: VecDeque<(u64, StreamWriter<u8>)>,
}

static GATE: Mutex<Gate> = Mutex::new(Gate {
    taken: false,
    next_ticket: 0,
    waiting: VecDeque::new(),
});

/// Held for a few statements at a time, never across an await.
fn gate() -> MutexGuard<'static, Gate> {
    GATE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gate {
    /// Calls whoever is first in line. That one looks again: another may have slipped in.
    fn call_next(&mut self) {
        if !self.taken {
            drop(self.waiting.pop_front());
        }
    }
}

/// The right to write, until dropped.
pub(super) struct Pass(());

/// Waits until no other task of this instance writes.
pub(super) async fn enter() -> Pass {
    loop {
        let (_place, mut call) = {
            let mut gate = gate();
            if !gate.taken {
                gate.taken = true;
                return Pass(());
            }
            let (writer, reader) = wit_stream::new();
            let ticket = gate.next_ticket;
            gate.next_ticket += 1;
            gate.waiting.push_back((ticket, writer));
            (Place(ticket), reader)
        };
        // Nothing is ever written: this ends when the other end is dropped.
        call.next().await;
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut gate = gate();
        gate.taken = false;
        gate.call_next();
    }
}

/// A place in the line. A request that is given up leaves the line, and hands on a call that it may
/// have got.
struct Place(u64);

impl Drop for Place {
    fn drop(&mut self) {
        let mut gate = gate();
        let waiting = gate.waiting.len();
        gate.waiting.retain(|(ticket, _)| *ticket != self.0);
        if gate.waiting.len() == waiting {
            gate.call_next();
        }
    }
}
