//! Every route of every service, tried by every kind of caller. The routes come from the services'
//! own tables. [`expectations`] says what each caller gets: a route that is missing there fails the
//! test, and so does a line whose route is gone.

mod expectations;
mod people;

use crate::harness::routes::{Route, routes, with_secret};
use crate::harness::{Actor, Answer, App, eventually};
use expectations::{Access, Ends, Expectation, TABLE, Thing, Verdict};
use people::{People, Person};
use reqwest::RequestBuilder;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An id that nothing has.
const NOTHING: &str = "00000000-0000-7000-8000-000000000000";
/// A path that does not exist; to a stranger, internal routes must look the same.
const NO_PATH: &str = "/internal/nothing/at/all";

/// A shop with one of everything, and a caller of every kind.
struct Shop {
    app: App,
    people: People,
    item: String,
    /// The owner's draft. Refused callers ask for it, and it stays unchanged.
    draft: String,
    notification: String,
    changed: Actor,
    doomed: Actor,
    made: AtomicUsize,
    /// The answer that a stranger gets at [`NO_PATH`].
    no_path: String,
}

/// One request of the matrix.
#[derive(Clone, Copy)]
struct Attempt<'a> {
    line: &'a Expectation,
    method: &'a str,
    person: Person,
    /// With an id, a query and a body that no handler takes.
    mangled: bool,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_open_to_those_it_is_for_and_to_nobody_else() {
    let mut shop = Shop::open().await;
    let faults = unexpected(&routes(&shop.app).await);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let mut faults = vec![];
    let mut tried = 0;
    for line in TABLE {
        let methods = match line.method {
            "*" => &["GET", "POST", "BREW"][..],
            _ => &[line.method],
        };
        for method in methods {
            tried += shop.refuses(line, method, &mut faults).await;
            tried += shop.lets_in(line, method, &mut faults).await;
        }
    }
    println!("{tried} requests");
    assert!(tried > 1_000, "only {tried} requests were tried");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    shop.app.finish().await;
}

/// Routes without an expectation, and expectations without a route.
fn unexpected(routes: &[Route]) -> Vec<String> {
    let is_expected = |route: &&Route| {
        let mut lines = TABLE.iter();
        lines.any(|line| line.method == route.method && line.path == route.path)
    };
    let is_served = |line: &&Expectation| {
        let mut routes = routes.iter();
        routes.any(|route| line.method == route.method && line.path == route.path)
    };
    let unknown = routes.iter().filter(|route| !is_expected(route));
    let unknown = unknown.map(|route| {
        format!(
            "who may use {} {}? expectations.rs does not say",
            route.method, route.path
        )
    });
    let gone = TABLE.iter().filter(|line| !is_served(line));
    let gone = gone.map(|line| format!("no service has {} {}", line.method, line.path));
    unknown.chain(gone).collect()
}

impl Shop {
    async fn open() -> Shop {
        let app = App::start_with(&[("trusted_proxies", "127.0.0.0/8")]).await;
        let people = People::gather(&app).await;
        let item = people.get(Person::Admin).sell("Tea", 100, 1_000).await;
        let owner = people.get(Person::Owner);
        owner.deposit(10_000).await;
        owner.told(1).await;
        let notification = owner.get("/notifications").await.data()[0]["id"].clone();
        let draft = owner.draft(&item, 1).await;
        let (changed, doomed) = (app.customer().await, app.customer().await);
        let no_path = app.anonymous().get(NO_PATH).await.refused(404, "not-found");
        app.quiet().await;
        Shop {
            app,
            people,
            item,
            draft,
            notification: notification.as_str().expect("an id").to_owned(),
            changed,
            doomed,
            made: AtomicUsize::new(0),
            no_path: no_path.body,
        }
    }

    /// Sends the requests of all callers who must be refused, and checks that they have no effect.
    /// Returns the number of requests.
    async fn refuses(&self, line: &Expectation, method: &str, faults: &mut Vec<String>) -> usize {
        let mut tried = 0;
        self.settled().await;
        let before = self.contents();
        for person in Person::ALL {
            let verdict = line.access.verdict(person);
            if verdict == Verdict::Passes {
                continue;
            }
            let is_first = [Verdict::NotLoggedIn, Verdict::Forbidden].contains(&verdict);
            // Who may confirm or complete an order depends on the order and on the body: these are read first.
            let by_thing = [Access::StaffNotOwner, Access::OwnerNotStaff].contains(&line.access)
                && verdict == Verdict::Forbidden;
            let in_body = line.access == Access::Credential || line.body_first;
            for mangled in [false, true] {
                if mangled && (!is_first || by_thing || in_body) {
                    continue;
                }
                let attempt = Attempt {
                    line,
                    method,
                    person,
                    mangled,
                };
                let actor = self.people.get(person);
                let answer = self.ask(attempt, actor, &self.thing(line.thing)).await;
                let is_right = match verdict {
                    Verdict::NotLoggedIn => answer.status == 401,
                    Verdict::Forbidden => answer.status == 403,
                    Verdict::NoSuchThing => answer.status == 404 && !self.is_no_path(&answer),
                    Verdict::NoSuchPath => answer.status == 404 && self.is_no_path(&answer),
                    Verdict::Passes => true,
                };
                if !is_right {
                    let mangled = if mangled { " (mangled)" } else { "" };
                    faults.push(format!("{person:?}{mangled}: not {verdict:?}: {answer}"));
                }
                tried += 1;
            }
        }
        let after = self.contents();
        let changed = before.iter().zip(&after).filter(|(a, b)| a != b);
        for ((table, was), (_, is)) in changed {
            let asked = format!("{method} {}", line.path);
            faults.push(format!(
                "{asked}: refused, but {table} was\n{was}and is\n{is}"
            ));
        }
        tried
    }

    /// Sends the requests of all callers who must pass. Returns the number of requests.
    async fn lets_in(
        &mut self,
        line: &Expectation,
        method: &str,
        faults: &mut Vec<String>,
    ) -> usize {
        let mut tried = 0;
        for person in Person::ALL {
            if line.access.verdict(person) != Verdict::Passes {
                continue;
            }
            let (actor, thing) = self.prepare(line, person).await;
            let attempt = Attempt {
                line,
                method,
                person,
                mangled: false,
            };
            let answer = self.ask(attempt, &actor, &thing).await;
            if answer.status != line.status || self.is_no_path(&answer) {
                faults.push(format!("{person:?}: not {}: {answer}", line.status));
            }
            if line.ends == Ends::Session {
                self.renew(person, &answer).await;
            }
            tried += 1;
        }
        tried
    }

    /// The caller and the thing of a request. A thing that the request uses up is made for it.
    async fn prepare(&self, line: &Expectation, person: Person) -> (Actor, String) {
        let mut actor = self.people.get(person).clone();
        let mut thing = self.thing(line.thing);
        if line.ends == Ends::Account {
            actor = self.people.stand_in(&self.app, person).await;
            thing = match person {
                Person::Owner => actor.id.clone(),
                _ => self.app.customer().await.id,
            };
        }
        if line.thing == Thing::Draft {
            thing = self.people.get(Person::Owner).draft(&self.item, 1).await;
        }
        (actor, thing)
    }

    /// The session has ended, perhaps with a new password.
    async fn renew(&mut self, person: Person, answer: &Answer) {
        let actor = self.people.get_mut(person);
        if answer.asked.ends_with("/auth/password") {
            actor.password = new_password(&actor.password);
        }
        actor.log_in_again().await;
    }

    async fn ask(&self, attempt: Attempt<'_>, actor: &Actor, thing: &str) -> Answer {
        let line = attempt.line;
        let thing = if attempt.mangled { "not-an-id" } else { thing };
        let path = line.path.replace("{id}", thing);
        let path = path.replace("{*path}", "some/where");
        let path = path.replace("{provider}", "idp");
        let query = match attempt.mangled {
            true => "?limit=x&surprise=1".to_owned(),
            false => self.fill(line.query, actor),
        };
        let request = actor.request(attempt.method, &format!("{path}{query}"));
        let request = match attempt.person {
            Person::Machine => with_secret(request),
            Person::Impostor => request.header("x-internal-secret", "guessed"),
            _ => request,
        };
        actor
            .send_unchecked(self.body(attempt, actor, request))
            .await
    }

    fn body(&self, attempt: Attempt<'_>, actor: &Actor, request: RequestBuilder) -> RequestBuilder {
        const JSON: &str = "application/json";
        const FORM: &str = "application/x-www-form-urlencoded";
        match attempt.line.body {
            _ if attempt.mangled => request.header("content-type", JSON).body("{"),
            None => request,
            Some(body) if body.starts_with('{') => {
                let body = self.fill(body, actor);
                request.header("content-type", JSON).body(body)
            }
            Some(body) => {
                let body = self.fill(body, actor).replace(' ', "+");
                request.header("content-type", FORM).body(body)
            }
        }
    }

    /// Replaces each `$word` with its value.
    fn fill(&self, text: &str, actor: &Actor) -> String {
        let door = &self.changed;
        let new = self.made.fetch_add(1, Ordering::Relaxed);
        text.replace("$own_password", &actor.password)
            .replace("$new_password", &new_password(&actor.password))
            .replace("$new", &format!("new{new}"))
            .replace("$email", &door.email)
            .replace("$password", &door.password)
            .replace("$item", &self.item)
    }

    fn thing(&self, thing: Thing) -> String {
        let id = match thing {
            Thing::Nothing => NOTHING,
            Thing::Item => &self.item,
            Thing::Draft => &self.draft,
            Thing::Notification => &self.notification,
            Thing::Account => &self.people.get(Person::Owner).id,
            Thing::Changed => &self.changed.id,
            Thing::Doomed => &self.doomed.id,
        };
        id.to_owned()
    }

    /// Waits until the work that earlier requests have started has ended: messages, and what
    /// auth's tick writes about revoked tokens.
    async fn settled(&self) {
        self.app.quiet().await;
        let under_way = "SELECT count(*) FROM auth.access_tokens
            WHERE revoked_at IS NOT NULL AND (applied_at IS NULL OR sealed_at IS NULL)";
        eventually("every revocation written and sealed", async || {
            (self.app.books().number(under_way) == 0).then_some(())
        })
        .await;
    }

    /// The content of the databases, except for traces that a refusal may leave, and rows that
    /// change by themselves.
    fn contents(&self) -> Vec<(String, String)> {
        let mut contents = self.app.books().contents();
        let by_itself = ["drain_lease", "attempts", "audit", "hashing", "told"];
        contents.retain(|(table, _)| !by_itself.iter().any(|name| table.ends_with(name)));
        contents
    }

    /// Whether the answer is the one for a path that does not exist.
    fn is_no_path(&self, answer: &Answer) -> bool {
        answer.body == self.no_path
    }
}

/// Another password each time.
fn new_password(password: &str) -> String {
    format!("{password}!")
}
