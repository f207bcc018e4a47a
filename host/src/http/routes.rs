//! Which component answers which path, by Spin's rules and with the library that Spin uses for them:
//! `/exact`, `/:name` for one segment, `/...` for the rest; the most specific route wins.

use std::sync::Arc;

use crate::manifest::HttpTrigger;

/// All routes of the application.
pub(crate) struct Routes {
    router: routefinder::Router<Route>,
}

/// One route.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    /// As the manifest writes it.
    pub raw: Arc<str>,
    /// Without the trailing `/...`.
    pub prefix: Arc<str>,
    pub component: Arc<str>,
}

/// What a path led to.
#[derive(Debug)]
pub(crate) struct Match<'r> {
    pub route: &'r Route,
    /// What `/...` stands for, with its leading slash; empty for an exact route.
    pub rest: String,
    /// The `:name` segments with their values.
    pub segments: Vec<(String, String)>,
}

impl Routes {
    /// Builds the table. Two triggers for the same route are a fault: Spin would ignore the first.
    pub fn build(triggers: &[HttpTrigger]) -> Result<Self, Vec<String>> {
        let mut router = routefinder::Router::new();
        let (mut faults, mut seen) = (Vec::new(), Vec::new());
        for trigger in triggers {
            let Some(raw) = trigger.route.as_deref() else {
                continue;
            };
            // Spin ignores a trailing slash.
            let key = raw.trim_end_matches('/');
            if seen.contains(&key) {
                faults.push(format!("route {raw} is given to more than one trigger"));
                continue;
            }
            seen.push(key);
            let prefix = raw.strip_suffix("/...").or_else(|| raw.strip_suffix("/*"));
            let route = Route {
                raw: raw.into(),
                prefix: prefix
                    .map_or(raw, |p| if p.is_empty() { "/" } else { p })
                    .into(),
                component: trigger.component.as_str().into(),
            };
            if prefix
                .unwrap_or(raw)
                .split('/')
                .any(|segment| segment == "..." || segment.contains('*'))
            {
                faults.push(format!(
                    "route {raw}: a wildcard may only be its end, as in /a/..."
                ));
                continue;
            }
            let spec = prefix.map_or_else(|| raw.to_owned(), |prefix| format!("{prefix}/*"));
            if let Err(error) = router.add(spec.as_str(), route) {
                faults.push(format!("route {raw}: {error}"));
            }
        }
        if faults.is_empty() {
            Ok(Self { router })
        } else {
            Err(faults)
        }
    }

    pub fn find(&self, path: &str) -> Option<Match<'_>> {
        let found = self.router.best_match(path)?;
        let route = found.handler();
        let captures = found.captures();
        let segments = captures
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let wildcard = captures.wildcard();
        let rest = match wildcard {
            None => String::new(),
            // The library drops a trailing slash; the guest may care.
            Some(rest) if path.ends_with('/') && !rest.is_empty() => format!("/{rest}/"),
            Some("") if path.ends_with('/') => "/".to_owned(),
            Some("") => String::new(),
            Some(rest) => format!("/{rest}"),
        };
        Some(Match {
            route,
            rest,
            segments,
        })
    }

    /// Routes with their components, for a person to read.
    pub fn list(&self) -> Vec<(String, String)> {
        let mut routes: Vec<_> = self
            .router
            .iter()
            .map(|(_, route)| (route.raw.to_string(), route.component.to_string()))
            .collect();
        routes.sort();
        routes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(table: &[(&str, &str)]) -> Routes {
        let triggers: Vec<_> = table
            .iter()
            .map(|(route, component)| HttpTrigger {
                route: Some((*route).into()),
                component: (*component).into(),
            })
            .collect();
        Routes::build(&triggers).unwrap()
    }

    fn component(routes: &Routes, path: &str) -> String {
        routes
            .find(path)
            .map_or("-".into(), |found| found.route.component.to_string())
    }

    #[test]
    fn the_most_specific_route_wins() {
        let routes = routes(&[
            ("/...", "rest"),
            ("/", "root"),
            ("/a", "exact"),
            ("/a/...", "below-a"),
            ("/a/:id", "one-a"),
            ("/a/:id/b", "b-of-a"),
            ("/a/b/...", "below-a-b"),
        ]);
        for (path, expected) in [
            ("/", "root"),
            ("/x", "rest"),
            ("/x/y/z", "rest"),
            ("/a", "exact"),
            ("/a/", "exact"),
            ("/a/7", "one-a"),
            ("/a/7/b", "b-of-a"),
            ("/a/7/c", "below-a"),
            ("/a/b/c", "below-a-b"),
            ("/ab", "rest"),
        ] {
            assert_eq!(component(&routes, path), expected, "{path}");
        }
    }

    #[test]
    fn exact_routes_do_not_match_below_themselves() {
        let routes = routes(&[("/a", "a"), ("/b/...", "b")]);
        assert_eq!(component(&routes, "/a/x"), "-");
        assert_eq!(component(&routes, "/b"), "b");
        assert_eq!(component(&routes, "/bb"), "-");
        assert_eq!(component(&routes, "/"), "-");
    }

    #[test]
    fn the_rest_and_the_segments_are_known() {
        let routes = routes(&[("/a/:user_id/...", "a")]);
        let found = routes.find("/a/7/b/c").unwrap();
        assert_eq!(found.rest, "/b/c");
        assert_eq!(found.segments, [("user_id".to_owned(), "7".to_owned())]);
        assert_eq!(&*found.route.prefix, "/a/:user_id");
        assert_eq!(routes.find("/a/7/b/").unwrap().rest, "/b/");
        assert_eq!(routes.find("/a/7").unwrap().rest, "");
    }

    #[test]
    fn faults_are_listed_together() {
        let trigger = |route: Option<&str>| HttpTrigger {
            route: route.map(Into::into),
            component: "c".into(),
        };
        let routes = [
            Some("/a"),
            Some("/a/"),
            Some("/:"),
            Some("/.../b"),
            Some("/*/b"),
            None,
        ];
        let triggers = routes.map(trigger);
        let Err(faults) = Routes::build(&triggers) else {
            panic!("no faults")
        };
        assert_eq!(faults.len(), 4, "{faults:?}");
    }
}
