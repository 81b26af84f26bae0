//! Checking a server's store.

use anonymous_domains_protocol::check::CheckPage;
use http::Method;

use crate::{
    admin::{Admin, read},
    advice::Subject,
    error::AdminError,
    pages::query,
};

/// About how many rows a request reads: it takes some tenths of a second.
const ROWS: u32 = 200;

/// Checks all of a server's store, and calls `take` with each part. With `mend`, what can be mended
/// is mended.
///
/// # Errors
///
/// Those of every call, and of `take`.
pub fn check<E: From<AdminError>>(
    admin: &Admin,
    mend: bool,
    mut take: impl FnMut(CheckPage) -> Result<(), E>,
) -> Result<(), E> {
    let method = if mend { Method::POST } else { Method::GET };
    let mut after: Option<String> = None;
    loop {
        let path = format!("/check{}", query(after.as_deref(), ROWS));
        let answer = admin.call(&Subject::Server, method.clone(), &path)?;
        let mut page: CheckPage = read(&Subject::Server, &answer)?;
        let next = page.next.take();
        if next.is_some() && next == after {
            return Err(AdminError::UnusableAnswer(
                "The server's check leads from a part to the same part.".to_owned(),
            )
            .into());
        }
        take(page)?;
        match next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}
