//! Open files: each connection is one, and so is each database. Many systems give a process 1,024 to begin with.

/// Files for everything but client connections.
#[cfg(unix)]
const OTHERS: u64 = 1024;

/// Raises the limit of open files to what this many connections need; returns how many connections
/// there is room for. If there are only a few, half of them are left to the databases: a client
/// without a connection may come back, but a component without its files fails.
pub(crate) fn for_connections(wanted: usize) -> usize {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        let needed = wanted as u64 + OTHERS;
        if limit.current.is_some_and(|current| current < needed) {
            let mut raised = limit;
            raised.current = Some(limit.maximum.map_or(needed, |maximum| maximum.min(needed)));
            match setrlimit(Resource::Nofile, raised) {
                Ok(()) => limit = raised,
                Err(error) => tracing::debug!(%error, "cannot have more open files"),
            }
        }
        let room = room(limit.current, wanted);
        if room < wanted {
            tracing::warn!(
                wanted,
                room,
                "fewer client connections: the limit of open files is low"
            );
        }
        room
    }
    #[cfg(not(unix))]
    wanted
}

#[cfg(unix)]
fn room(files: Option<u64>, wanted: usize) -> usize {
    let Some(files) = files else { return wanted };
    let left = files - OTHERS.min(files / 2);
    wanted
        .min(usize::try_from(left).unwrap_or(usize::MAX))
        .max(1)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn databases_keep_their_share_of_few_files() {
        assert_eq!(room(None, 1024), 1024);
        assert_eq!(room(Some(1024), 1024), 512);
        assert_eq!(room(Some(256), 1024), 128);
        assert_eq!(room(Some(1_000_000), 1024), 1024);
        assert_eq!(room(Some(0), 1024), 1);
    }
}
