//! Several servers, each with domains of its own.

use anonymous_domains_client::CommandError as _;
use anonymous_domains_protocol::{admin::Domain, ids::DomainName, problem::ErrorName};
use serde::Serialize;

use crate::{
    admin::Admin,
    error::AdminError,
    pages::{List, Pages, Paging},
};

/// Something, and the server where it is.
#[derive(Debug, Serialize)]
pub struct At<T> {
    /// The server's URL.
    pub server: String,
    /// What is there.
    #[serde(flatten)]
    pub found: T,
}

/// The server that has a domain.
///
/// All are asked, because a domain that is on two of them is being moved, and what is done to the
/// copy that is not used would be lost.
///
/// # Errors
///
/// [`AdminError::Refused`] with `UNKNOWN_DOMAIN` if no server has it, [`AdminError::Usage`] if several
/// have, and the errors of every call if one does not answer.
pub fn find<'a>(servers: &'a [Admin], name: &DomainName) -> Result<&'a Admin, AdminError> {
    let mut having = Vec::new();
    let mut unknown = None;
    for server in servers {
        match server.has(name) {
            Ok(()) => having.push(server),
            Err(error) if error.is_refusal(ErrorName::UnknownDomain) => unknown = Some(error),
            Err(error) => return Err(error.at(&server.server)),
        }
    }
    match (&having[..], unknown) {
        ([server], _) => Ok(server),
        ([], Some(unknown)) => Err(unknown.at(join(servers, ", "))),
        ([], None) => Err(AdminError::Usage("No server is named.".to_owned())),
        (several, _) => Err(AdminError::Usage(format!(
            "{name} is on several servers, as while it is moved: {}. Name the one that is meant alone with --server.",
            join(several.iter().copied(), " and ")
        ))),
    }
}

fn join<'a>(servers: impl IntoIterator<Item = &'a Admin>, between: &str) -> String {
    let urls = servers.into_iter().map(|server| server.server.to_string());
    urls.collect::<Vec<_>>().join(between)
}

/// The domains of all servers, by name, each with its server. A domain that is on several is there
/// several times, also beyond the limit. A server that fails is left out, and its error comes last.
pub struct Domains<'a> {
    lists: Vec<Source<'a>>,
    failed: Option<AdminError>,
    /// How many more may be returned; `None` for all.
    left: Option<u64>,
    last: Option<String>,
    /// Whether there are more beyond the limit.
    is_cut: bool,
}

struct Source<'a> {
    server: String,
    pages: Pages<'a, Domain>,
    /// Its next domain.
    head: Option<Domain>,
}

impl<'a> Domains<'a> {
    /// Lists the domains of `servers`.
    pub fn new(servers: &'a [Admin], paging: &Paging) -> Self {
        // One more than is asked for tells whether there are more.
        let of_each = Paging {
            limit: paging.limit.map(|limit| limit.saturating_add(1)),
            after: paging.after.clone(),
        };
        let source = |server: &'a Admin| Source {
            server: server.server.to_string(),
            pages: server.domains(of_each.clone()),
            head: None,
        };
        Self {
            lists: servers.iter().map(source).collect(),
            failed: None,
            left: paging.limit,
            last: None,
            is_cut: false,
        }
    }

    /// Has each list's next domain ready.
    fn look(&mut self) {
        for source in &mut self.lists {
            if source.head.is_none() {
                match source.pages.next() {
                    Some(Ok(domain)) => source.head = Some(domain),
                    Some(Err(error)) => {
                        self.failed.get_or_insert(error.at(&source.server));
                    }
                    None => {}
                }
            }
        }
    }
}

impl Iterator for Domains<'_> {
    type Item = Result<At<Domain>, AdminError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.look();
        let waiting = self.lists.iter_mut().filter(|source| source.head.is_some());
        let first = waiting.min_by(|a, b| {
            let name = |source: &Source<'_>| source.head.as_ref().map(|it| it.domain.clone());
            name(a).cmp(&name(b))
        });
        let domain = first.and_then(|source| {
            let name = source.head.as_ref().map(|domain| &domain.domain);
            // The list goes on after a name, so all of one name are listed.
            if self.left == Some(0) && name != self.last.as_ref() {
                self.is_cut = true;
                return None;
            }
            let found = source.head.take()?;
            let server = source.server.clone();
            Some(At { server, found })
        });
        match domain {
            Some(domain) => {
                self.left = self.left.map(|left| left.saturating_sub(1));
                self.last = Some(domain.found.domain.clone());
                Some(Ok(domain))
            }
            None => self.failed.take().map(Err),
        }
    }
}

impl List for Domains<'_> {
    fn next_after(&self) -> Option<&str> {
        self.last.as_deref().filter(|_| self.is_cut)
    }
}
