//! Lists that fetch their pages as needed.

use std::collections::VecDeque;

use anonymous_domains_protocol::admin::MAX_PAGE_LIMIT;

use crate::error::AdminError;

/// The entries of a page: few requests for a long list, and the first entries soon.
const PAGE_LIMIT: u32 = 500;

const _: () = assert!(PAGE_LIMIT <= MAX_PAGE_LIMIT);

/// The part of a list to return.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paging {
    /// The largest number of entries; `None` for all.
    pub limit: Option<u64>,
    /// Start after this: see [`List::next_after`].
    pub after: Option<String>,
}

/// One page: its entries, and the `after` of the next page.
pub(crate) type Page<T> = (Vec<T>, Option<String>);

/// Fetches the page after this, with at most so many entries.
type Fetch<'a, T> = Box<dyn Fn(Option<&str>, u32) -> Result<Page<T>, AdminError> + 'a>;

/// A list's entries, one by one. Each page is fetched when the one before it is used up. The list
/// ends after an error.
pub struct Pages<'a, T> {
    fetch: Fetch<'a, T>,
    page: VecDeque<T>,
    /// The `after` of the next page; `None` if there is no next page.
    next: Option<Option<String>>,
    /// How many more entries may be returned; `None` for all.
    left: Option<u64>,
}

impl<'a, T> Pages<'a, T> {
    pub(crate) fn new(
        paging: Paging,
        fetch: impl Fn(Option<&str>, u32) -> Result<Page<T>, AdminError> + 'a,
    ) -> Self {
        Self {
            fetch: Box::new(fetch),
            page: VecDeque::new(),
            next: Some(paging.after),
            left: paging.limit,
        }
    }

    fn turn(&mut self, after: Option<String>) -> Result<(), AdminError> {
        let limit = self.left.map_or(PAGE_LIMIT, |left| {
            u32::try_from(left).unwrap_or(PAGE_LIMIT).min(PAGE_LIMIT)
        });
        let (entries, next) = (self.fetch)(after.as_deref(), limit)?;
        if next.is_some() && next == after {
            return Err(AdminError::UnusableAnswer(
                "The server's list leads from a page to the same page.".to_owned(),
            ));
        }
        if entries.len() > limit as usize {
            return Err(AdminError::UnusableAnswer(
                "The server's list has pages longer than asked for.".to_owned(),
            ));
        }
        self.page = entries.into();
        self.next = next.map(Some);
        Ok(())
    }
}

impl<T> Iterator for Pages<'_, T> {
    type Item = Result<T, AdminError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == Some(0) {
            return None;
        }
        // A page may be empty without being the last.
        while self.page.is_empty() {
            let after = self.next.take()?;
            if let Err(error) = self.turn(after) {
                return Some(Err(error));
            }
        }
        self.left = self.left.map(|left| left - 1);
        self.page.pop_front().map(Ok)
    }
}

/// A list that may end before all is listed.
pub trait List: Iterator {
    /// The [`Paging::after`] with which the list continues, once the iterator has ended; `None` at
    /// the end of the list.
    fn next_after(&self) -> Option<&str>;
}

impl<T> List for Pages<'_, T> {
    fn next_after(&self) -> Option<&str> {
        self.next.as_ref()?.as_deref()
    }
}

/// The query of a page.
pub(crate) fn query(after: Option<&str>, limit: u32) -> String {
    let mut query = format!("?limit={limit}");
    if let Some(after) = after {
        query.push_str("&after=");
        for byte in after.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                query.push(char::from(byte));
            } else {
                query.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    query
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// A list of the numbers below `total`, and the limits that it was asked with.
    fn list(total: u32, paging: Paging) -> (Vec<u32>, Option<String>, Vec<u32>) {
        let limits = RefCell::new(Vec::new());
        let mut pages = Pages::new(paging, |after, limit| {
            limits.borrow_mut().push(limit);
            let from = after.map_or(0, |after| after.parse::<u32>().unwrap() + 1);
            let to = (from + limit).min(total);
            let next = (to < total).then(|| (to - 1).to_string());
            Ok(((from..to).collect(), next))
        });
        let entries = pages.by_ref().map(Result::unwrap).collect();
        let next = pages.next_after().map(str::to_owned);
        drop(pages);
        (entries, next, limits.into_inner())
    }

    #[test]
    fn a_list_is_whole_whatever_its_length() {
        for total in [0, 1, PAGE_LIMIT, PAGE_LIMIT + 1, 3 * PAGE_LIMIT] {
            let (entries, next, limits) = list(total, Paging::default());
            assert_eq!(entries, (0..total).collect::<Vec<_>>());
            assert_eq!(next, None);
            assert_eq!(limits.len() as u32, total.div_ceil(PAGE_LIMIT).max(1));
        }
    }

    #[test]
    fn a_limit_is_of_all_pages_and_says_where_to_go_on() {
        let limited = |limit, after: Option<&str>| {
            list(
                1200,
                Paging {
                    limit: Some(limit),
                    after: after.map(str::to_owned),
                },
            )
        };
        let (entries, next, limits) = limited(700, None);
        assert_eq!(entries.len(), 700);
        assert_eq!(limits, [500, 200]);
        let (rest, next, _) = limited(700, next.as_deref());
        assert_eq!(rest, (700..1200).collect::<Vec<_>>());
        assert_eq!(next, None);
        assert_eq!(limited(0, None).2, [0; 0], "nobody is asked for nothing");
    }

    #[test]
    fn a_list_that_leads_nowhere_ends() {
        let fetch = |after: Option<&str>, _| Ok((vec![1], Some(after.unwrap_or("a").to_owned())));
        let mut pages = Pages::new(Paging::default(), fetch);
        assert!(pages.next().unwrap().is_ok());
        assert!(pages.next().unwrap().is_err());
        assert!(pages.next().is_none());
    }

    #[test]
    fn what_a_page_comes_after_is_quoted() {
        assert_eq!(query(None, 5), "?limit=5");
        assert_eq!(query(Some("a-B.c_~"), 5), "?limit=5&after=a-B.c_~");
        assert_eq!(
            query(Some("a b&c=d/é"), 5),
            "?limit=5&after=a%20b%26c%3Dd%2F%C3%A9"
        );
    }
}
