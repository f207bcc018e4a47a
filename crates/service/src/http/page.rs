//! Keyset pagination: `?limit=&cursor=` in, `{data, next_cursor?}` out, newest first.

use super::Problem;
use serde::{Deserialize, Serialize};

const DEFAULT_LIMIT: i64 = 50;
const MAX_LIMIT: i64 = 200;

/// The part of a query string that asks for a page.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    limit: Option<i64>,
    cursor: Option<String>,
}

/// One page of a list.
#[derive(Debug, Serialize)]
pub struct Page<T> {
    data: Vec<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A list that is short by nature.
    pub fn whole(data: Vec<T>) -> Page<T> {
        Page {
            data,
            next_cursor: None,
        }
    }
}

impl PageQuery {
    /// Of a query whose fields were read elsewhere.
    pub fn new(limit: Option<i64>, cursor: Option<String>) -> PageQuery {
        PageQuery { limit, cursor }
    }

    /// Rows to fetch: one more than shown, to know whether there is a next page.
    pub fn fetch(&self) -> Result<i64, Problem> {
        Ok(self.shown()? + 1)
    }

    /// The id after which the page begins; ids sort below it. Everything sorts below `~`.
    pub fn before(&self) -> &str {
        self.cursor.as_deref().unwrap_or("~")
    }

    fn shown(&self) -> Result<i64, Problem> {
        match self.limit.unwrap_or(DEFAULT_LIMIT) {
            limit @ 1..=MAX_LIMIT => Ok(limit),
            _ => Err(Problem::field(
                "limit",
                format!("must be between 1 and {MAX_LIMIT}"),
            )),
        }
    }

    /// Makes a page of what [`PageQuery::fetch`] rows gave; `id` names the sorting key of an element.
    pub fn page<T>(&self, mut data: Vec<T>, id: impl Fn(&T) -> &str) -> Result<Page<T>, Problem> {
        let shown = usize::try_from(self.shown()?).unwrap_or(usize::MAX);
        let more = data.len() > shown;
        data.truncate(shown);
        let next_cursor = data.last().filter(|_| more).map(|last| id(last).to_owned());
        Ok(Page { data, next_cursor })
    }
}
