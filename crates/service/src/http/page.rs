//! Keyset pagination: `?limit=&cursor=` in, `{data, next_cursor?}` out.
//!
//! A cursor is the sorting key of the last element shown. A malformed cursor is 422 with the field `cursor`; an empty
//! one means the first page.

use super::Problem;
use serde::{Deserialize, Serialize};

const DEFAULT_LIMIT: i64 = 50;
const MAX_LIMIT: i64 = 200;
/// Characters of a UUID in its usual form, the only one that a cursor may have.
const UUID_LENGTH: usize = 36;

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
    /// The same page with each element converted.
    pub fn map<U>(self, make: impl FnMut(T) -> U) -> Page<U> {
        Page {
            data: self.data.into_iter().map(make).collect(),
            next_cursor: self.next_cursor,
        }
    }

    /// Keeps only some of the elements. The next page begins where it would have begun anyway.
    pub fn only(mut self, is_wanted: impl Fn(&T) -> bool) -> Page<T> {
        self.data.retain(is_wanted);
        self
    }

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

    /// For a list from the greatest id down: the id below which the page begins. Everything sorts below `~`.
    pub fn before(&self) -> Result<String, Problem> {
        Ok(self.id()?.unwrap_or_else(|| "~".to_owned()))
    }

    /// For a list from the least id up: the id above which the page begins. Everything sorts above the empty text.
    pub fn after(&self) -> Result<String, Problem> {
        Ok(self.id()?.unwrap_or_default())
    }

    /// For a list from the greatest number down: the number below which the page begins.
    pub fn before_number(&self) -> Result<i64, Problem> {
        match self.given() {
            None => Ok(i64::MAX),
            Some(cursor) => number(cursor).ok_or_else(bad_cursor),
        }
    }

    /// For a list whose elements are counted from 1: the number after which the page begins.
    pub fn after_count(&self) -> Result<usize, Problem> {
        let count = self.given().map_or(Some(0), number);
        let count = count.and_then(|count| usize::try_from(count).ok());
        count.ok_or_else(bad_cursor)
    }

    /// For a list from the least number up, ids breaking ties: the pair above which the page begins. The cursor is
    /// written by [`number_and_id`].
    pub fn after_number_and_id(&self) -> Result<(i64, String), Problem> {
        let Some(cursor) = self.given() else {
            return Ok((i64::MIN, String::new()));
        };
        let (number_part, id_part) = cursor.split_once('.').ok_or_else(bad_cursor)?;
        number(number_part).zip(id(id_part)).ok_or_else(bad_cursor)
    }

    fn id(&self) -> Result<Option<String>, Problem> {
        let read = |cursor| id(cursor).ok_or_else(bad_cursor);
        self.given().map(read).transpose()
    }

    fn given(&self) -> Option<&str> {
        self.cursor.as_deref().filter(|cursor| !cursor.is_empty())
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

    /// Makes a page of what [`PageQuery::fetch`] rows gave; `key` gives the sorting key of an element.
    pub fn page<T, K: ToString>(
        &self,
        mut data: Vec<T>,
        key: impl Fn(&T) -> K,
    ) -> Result<Page<T>, Problem> {
        let shown = usize::try_from(self.shown()?).unwrap_or(usize::MAX);
        let more = data.len() > shown;
        data.truncate(shown);
        let next_cursor = data
            .last()
            .filter(|_| more)
            .map(|last| key(last).to_string());
        Ok(Page { data, next_cursor })
    }
}

/// The cursor of a list that [`PageQuery::after_number_and_id`] reads.
pub fn number_and_id(number: i64, id: &str) -> String {
    format!("{number}.{id}")
}

fn bad_cursor() -> Problem {
    Problem::field("cursor", "must be the next_cursor of the previous page")
}

/// A UUID in any case; stored ids are in lower case.
fn id(text: &str) -> Option<String> {
    let id = uuid::Uuid::try_parse(text).ok()?;
    (text.len() == UUID_LENGTH).then(|| id.to_string())
}

/// Digits only: no sign, no space.
fn number(text: &str) -> Option<i64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0196f0a0-7c1e-7e7a-9f3e-0a1b2c3d4e5f";

    fn query(cursor: &str) -> PageQuery {
        PageQuery::new(None, Some(cursor.to_owned()))
    }

    fn is_refused<T: std::fmt::Debug>(read: Result<T, Problem>) -> bool {
        let problem = format!("{:?}", read.expect_err("a problem"));
        problem.contains("422") && problem.contains("field: \"cursor\"")
    }

    #[test]
    fn an_empty_cursor_is_the_first_page() {
        for first in [PageQuery::default(), query("")] {
            assert_eq!(first.before().expect("a key"), "~");
            assert_eq!(first.after().expect("a key"), "");
            assert_eq!(first.before_number().expect("a key"), i64::MAX);
            assert_eq!(first.after_count().expect("a key"), 0);
            let pair = first.after_number_and_id().expect("a key");
            assert_eq!(pair, (i64::MIN, String::new()));
        }
    }

    #[test]
    fn a_cursor_is_read_in_any_case() {
        for cursor in [ID.to_owned(), ID.to_uppercase()] {
            assert_eq!(query(&cursor).before().expect("a key"), ID);
            assert_eq!(query(&cursor).after().expect("a key"), ID);
            let pair = query(&format!("17.{cursor}")).after_number_and_id();
            assert_eq!(pair.expect("a key"), (17, ID.to_owned()));
        }
        assert_eq!(query("1001").before_number().expect("a key"), 1001);
        let written = number_and_id(17, ID);
        let pair = query(&written).after_number_and_id();
        assert_eq!(pair.expect("a key"), (17, ID.to_owned()));
    }

    #[test]
    fn a_malformed_cursor_is_refused() {
        let simple = ID.replace('-', "");
        let braced = format!("{{{ID}}}");
        let urn = format!("urn:uuid:{ID}");
        let spaced = format!(" {ID}");
        for bad in [
            "zzz",
            "~",
            " ",
            "'",
            "x\0y",
            "%",
            "null",
            "1.5",
            "-1",
            "+1",
            "1e3",
            &simple,
            &braced,
            &urn,
            &spaced,
            &ID[1..],
        ] {
            assert!(is_refused(query(bad).before()), "{bad}");
            assert!(is_refused(query(bad).after()), "{bad}");
            assert!(is_refused(query(bad).after_number_and_id()), "{bad}");
        }
        for bad in [
            ID,
            "zzz",
            "-1",
            "+1",
            "1e3",
            " 1",
            "99999999999999999999",
            "٣",
        ] {
            assert!(is_refused(query(bad).before_number()), "{bad}");
            assert!(is_refused(query(bad).after_count()), "{bad}");
        }
        assert!(is_refused(query("1001").before()));
        assert!(is_refused(query(&format!("x.{ID}")).after_number_and_id()));
        assert!(is_refused(query("1.x").after_number_and_id()));
    }

    #[test]
    fn only_a_page_that_is_not_the_last_names_the_next() {
        let page = PageQuery::new(Some(2), None);
        let last = page.page(vec![3, 2], |n| *n).expect("a page");
        assert_eq!(last.next_cursor, None);
        let full = page.page(vec![3, 2, 1], |n| *n).expect("a page");
        assert_eq!(
            (full.data, full.next_cursor),
            (vec![3, 2], Some("2".into()))
        );
        for limit in [0, -1, 201, 10_000, i64::MIN] {
            assert!(
                PageQuery::new(Some(limit), None).fetch().is_err(),
                "{limit}"
            );
        }
    }
}
