//! Every field that people type into, with a request that carries it, and the texts that every
//! field refuses.

/// The caller that a door needs.
#[derive(Clone, Copy)]
pub enum Who {
    Nobody,
    Customer,
    Admin,
    /// Holds the shared secret.
    Operator,
}
use Who::{Admin, Customer, Nobody, Operator};

/// A field that people type into, and a request that carries it.
pub struct Door {
    pub who: Who,
    pub method: &'static str,
    /// `{me}`, `{item}` and `{draft}` stand for ids. A path with a `?` takes the text in its query.
    pub path: &'static str,
    /// The structure into which the component reads it.
    pub input: &'static str,
    pub field: &'static str,
    /// A text that the field accepts.
    pub good: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// One line, not empty.
    Line,
    /// One line or none.
    LineOrNone,
    /// Several lines or none.
    Lines,
}
use Kind::{Line, LineOrNone, Lines};

const fn door(
    who: Who,
    (method, path): (&'static str, &'static str),
    (input, field): (&'static str, &'static str),
    good: &'static str,
    kind: Kind,
) -> Door {
    Door {
        who,
        method,
        path,
        input,
        field,
        good,
        kind,
    }
}

const REGISTER: (&str, &str) = ("POST", "/auth/register");
const PATCH_ME: (&str, &str) = ("PATCH", "/users/me");
const PUT_ME: (&str, &str) = ("PUT", "/users/{me}");
const PROFILES: (&str, &str) = ("POST", "/profiles");
const ITEM: (&str, &str) = ("PATCH", "/items/{item}");

pub const DOORS: [Door; 34] = [
    door(
        Nobody,
        REGISTER,
        ("Register", "email"),
        "new@example.com",
        Line,
    ),
    door(Nobody, REGISTER, ("Register", "username"), "newname", Line),
    door(Nobody, REGISTER, ("Register", "first_name"), "Ann", Line),
    door(Nobody, REGISTER, ("Register", "last_name"), "Lee", Line),
    door(
        Nobody,
        REGISTER,
        ("Register", "phone"),
        "+49 30 12345",
        Line,
    ),
    door(Nobody, REGISTER, ("Register", "language"), "en-GB", Line),
    door(Customer, PATCH_ME, ("Changes", "first_name"), "Ann", Line),
    door(Customer, PATCH_ME, ("Changes", "last_name"), "Lee", Line),
    door(
        Customer,
        PATCH_ME,
        ("Changes", "phone"),
        "+49 30 12345",
        Line,
    ),
    door(Customer, PATCH_ME, ("Changes", "language"), "en-GB", Line),
    door(Customer, PUT_ME, ("Replacement", "first_name"), "Ann", Line),
    door(Customer, PUT_ME, ("Replacement", "last_name"), "Lee", Line),
    door(
        Customer,
        PUT_ME,
        ("Replacement", "phone"),
        "+49 30 12345",
        Line,
    ),
    door(Customer, PUT_ME, ("Replacement", "language"), "en-GB", Line),
    door(Customer, PROFILES, ("Changes", "first_name"), "Ann", Line),
    door(Customer, PROFILES, ("Changes", "last_name"), "Lee", Line),
    door(
        Customer,
        PROFILES,
        ("Changes", "phone"),
        "+49 30 12345",
        Line,
    ),
    door(Customer, PROFILES, ("Changes", "language"), "en-GB", Line),
    door(Admin, ("POST", "/items"), ("NewItem", "name"), "Cup", Line),
    door(
        Admin,
        ("POST", "/items"),
        ("NewItem", "description"),
        "A cup",
        Lines,
    ),
    door(Admin, ITEM, ("ChangedItem", "name"), "Cup", Line),
    door(Admin, ITEM, ("ChangedItem", "description"), "A cup", Lines),
    door(
        Admin,
        ("POST", "/items/{item}/adjustments"),
        ("Adjustment", "reason"),
        "new goods",
        Line,
    ),
    door(
        Customer,
        ("POST", "/orders"),
        ("NewOrderInput", "address"),
        "1 Tea Lane",
        Lines,
    ),
    door(
        Customer,
        ("PATCH", "/orders/{draft}"),
        ("ChangedOrder", "address"),
        "1 Tea Lane",
        Lines,
    ),
    door(
        Admin,
        ("POST", "/sagas/{draft}/compensate"),
        ("Compensate", "reason"),
        "asked by phone",
        Line,
    ),
    door(
        Customer,
        ("GET", "/items?q="),
        ("ItemFilter", "q"),
        "tea",
        LineOrNone,
    ),
    door(
        Admin,
        ("GET", "/items?archived=true&q="),
        ("ItemFilter", "q"),
        "tea",
        LineOrNone,
    ),
    door(
        Admin,
        ("GET", "/auth/users?search="),
        ("ListQuery", "search"),
        "ann",
        LineOrNone,
    ),
    door(
        Customer,
        ("GET", "/notifications?kind="),
        ("ListQuery", "kind"),
        "order.paid",
        Line,
    ),
    door(
        Admin,
        ("GET", "/auth/audit?kind="),
        ("AuditQuery", "kind"),
        "logout",
        Line,
    ),
    door(
        Admin,
        ("POST", "/sagas/{draft}/redrive?reason="),
        ("Redrive", "reason"),
        "as asked",
        Line,
    ),
    door(
        Operator,
        (
            "POST",
            "/internal/stock/dead-letters/{draft}/redrive?reason=",
        ),
        ("Why", "reason"),
        "as asked",
        Line,
    ),
    door(
        Operator,
        ("DELETE", "/internal/stock/dead-letters/{draft}?reason="),
        ("Why", "reason"),
        "as asked",
        Line,
    ),
];

/// Characters that every field refuses, at any place.
const BAD: [&str; 30] = [
    "\0",
    "\t",
    "\u{1B}[31m",
    "\u{7F}",
    "\u{9B}",
    "\u{202E}",
    "\u{202A}",
    "\u{2066}",
    "\u{2069}",
    "\u{200E}",
    "\u{200F}",
    "\u{61C}",
    "\u{200B}",
    "\u{AD}",
    "\u{2060}",
    "\u{FEFF}",
    "\u{34F}",
    "\u{200C}",
    "\u{200D}",
    "\u{FE0F}",
    "\u{E0100}",
    "\u{180E}",
    "\u{3164}",
    "\u{115F}",
    "\u{E0041}",
    "\u{E000}",
    "\u{378}",
    "\u{FFFF}",
    "\u{FFFD}",
    "\u{335}\u{335}\u{335}\u{335}\u{335}\u{335}\u{335}\u{335}\u{335}\u{335}",
];
/// Characters that a field of one line refuses in addition.
const BREAKS: [&str; 5] = ["\n", "\r\n", "\r", "\u{85}", "\u{2028}"];
/// Texts with nothing visible in them, although they have a length.
const BLANK: [&str; 5] = ["", "   ", "\u{3000}\n", "\u{2800}", "\u{A0}"];

impl Door {
    /// All texts that the field must refuse.
    pub fn bad(&self) -> Vec<String> {
        let mut bad: Vec<String> = Vec::new();
        let mut first = self.good.chars();
        let (first, rest) = (first.next().unwrap_or_default(), first.as_str());
        let mut within = |piece: &str| bad.push(format!("{first}{piece}{rest}"));
        BAD.iter().for_each(|piece| within(piece));
        if self.kind != Lines {
            BREAKS.iter().for_each(|piece| within(piece));
        }
        if self.kind == Line {
            bad.extend(BLANK.map(str::to_owned));
        }
        bad.push(format!("\u{301}{}", self.good));
        bad.push("x".repeat(4_001));
        bad.push("\u{200B}".to_owned());
        bad
    }
}
