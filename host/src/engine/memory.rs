//! The memory limit of one instance, counted over all its linear memories.

use wasmtime::ResourceLimiter;

use crate::limits::TABLE_ELEMENTS;

/// A composed component has several memories; the limit is on their sum.
pub(crate) struct MemoryLimit {
    limit: usize,
    used: usize,
    component: std::sync::Arc<str>,
}

impl MemoryLimit {
    pub fn new(limit: usize, component: std::sync::Arc<str>) -> Self {
        Self {
            limit,
            used: 0,
            component,
        }
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let used = self.used + (desired - current);
        if used > self.limit {
            tracing::warn!(
                component = &*self.component,
                limit = self.limit,
                "instance wants more memory than it may have"
            );
            return Ok(false);
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
    }
}
