//! Memory that nobody uses any more, back to the system.

/// To be called after work that took much memory for a moment, as compiling does: the allocator would keep it for
/// the process. Only glibc can be asked.
#[allow(unsafe_code, reason = "a call of the C library")]
pub(crate) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: callable at any time, from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}
