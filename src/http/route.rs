//! Where things are.

use anonymous_domains_protocol::ids::{CA_CERTIFICATE_SEGMENT, NEXT_CA_CERTIFICATE_SEGMENT};

use super::console;

const DOMAIN_SERVER: &str = "/flashaccess/domainserver/";

const ADMIN: &str = "/admin/v1";

const CONSOLE: &str = "/console";

/// What a path names. Domain names are as the path has them, not yet decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route<'a> {
    /// `/flashaccess/domainserver/{domain}/register` and its aliases.
    Register(&'a str),
    /// `/flashaccess/domainserver/{domain}/deregister` and its aliases.
    Deregister(&'a str),
    /// `/flashaccess/domainserver/{domain}`.
    Domain(&'a str),
    /// `/flashaccess/domainserver/ca.pem`.
    CaCertificate,
    /// `/flashaccess/domainserver/ca-next.pem`.
    NextCaCertificate,
    /// `/healthz`.
    Health,
    /// `/openapi.json`.
    OpenApi,
    /// `/console`, which leads to `/console/`.
    ConsoleWithoutSlash,
    /// `/console/...`.
    Console(&'static console::File),
    /// `/admin/v1/...`; `None` where the path names nothing there.
    Admin(Option<AdminRoute<'a>>),
}

/// What a path of the operator's interface names, below `/admin/v1`. Names and GUIDs are as the
/// path has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminRoute<'a> {
    /// `/domains`.
    Domains,
    /// `/domains/{domain}`.
    Domain(&'a str),
    /// `/domains/{domain}/members`.
    Members(&'a str),
    /// `/domains/{domain}/members/{machineGuid}`.
    Member(&'a str, &'a str),
    /// `/domains/{domain}/blocked`.
    BlockedMachines(&'a str),
    /// `/domains/{domain}/blocked/{machineGuid}`.
    BlockedMachine(&'a str, &'a str),
    /// `/domains/{domain}/rollover`.
    Rollover(&'a str),
    /// `/domains/{domain}/keys`.
    Keys(&'a str),
    /// `/domains/{domain}/reissue`.
    Reissue(&'a str),
    /// `/reseal`.
    Reseal,
    /// `/export`.
    ExportHeader,
    /// `/domains/{domain}/export`.
    Export(&'a str),
    /// `/domains/{domain}/import`.
    Import(&'a str),
    /// `/check`.
    Check,
}

impl<'a> AdminRoute<'a> {
    fn of(path: &'a str) -> Option<Self> {
        let segments: Vec<&str> = path.split('/').collect();
        match segments[..] {
            ["domains"] => Some(Self::Domains),
            ["domains", domain] => Some(Self::Domain(domain)),
            ["domains", domain, "members"] => Some(Self::Members(domain)),
            ["domains", domain, "members", guid] => Some(Self::Member(domain, guid)),
            ["domains", domain, "blocked"] => Some(Self::BlockedMachines(domain)),
            ["domains", domain, "blocked", guid] => Some(Self::BlockedMachine(domain, guid)),
            ["domains", domain, "rollover"] => Some(Self::Rollover(domain)),
            ["domains", domain, "keys"] => Some(Self::Keys(domain)),
            ["domains", domain, "reissue"] => Some(Self::Reissue(domain)),
            ["reseal"] => Some(Self::Reseal),
            ["export"] => Some(Self::ExportHeader),
            ["domains", domain, "export"] => Some(Self::Export(domain)),
            ["domains", domain, "import"] => Some(Self::Import(domain)),
            ["check"] => Some(Self::Check),
            _ => None,
        }
    }

    fn allow(self) -> &'static str {
        match self {
            Self::Domains
            | Self::Members(_)
            | Self::BlockedMachines(_)
            | Self::Keys(_)
            | Self::ExportHeader => "GET, HEAD",
            Self::Domain(_) => "GET, HEAD, PUT, DELETE",
            Self::Member(..) => "DELETE",
            Self::BlockedMachine(..) => "PUT, DELETE",
            // An export has sealed keys: not for whoever may only read.
            Self::Rollover(_) | Self::Reissue(_) | Self::Reseal | Self::Export(_) => "POST",
            Self::Import(_) => "PUT",
            Self::Check => "GET, HEAD, POST",
        }
    }
}

impl<'a> Route<'a> {
    /// What a path names, if it names anything. A slash at the end is ignored, but in the console,
    /// whose files name each other by relative paths.
    pub fn of(path: &'a str) -> Option<Self> {
        if let Some(rest) = path.strip_prefix(CONSOLE) {
            return match rest.strip_prefix('/') {
                Some(path) => console::file(path).map(Self::Console),
                None => rest.is_empty().then_some(Self::ConsoleWithoutSlash),
            };
        }
        let path = path.strip_suffix('/').unwrap_or(path);
        match path {
            "/healthz" => return Some(Self::Health),
            "/openapi.json" => return Some(Self::OpenApi),
            _ => {}
        }
        if let Some(path) = path.strip_prefix(ADMIN) {
            return match path.strip_prefix('/') {
                Some(path) => Some(Self::Admin(AdminRoute::of(path))),
                None => path.is_empty().then_some(Self::Admin(None)),
            };
        }
        let rest = path.strip_prefix(DOMAIN_SERVER)?;
        let (domain, action) = match rest.split_once('/') {
            Some((domain, action)) => (domain, Some(action)),
            None => (rest, None),
        };
        let Some(action) = action else {
            return Some(match domain {
                CA_CERTIFICATE_SEGMENT => Self::CaCertificate,
                NEXT_CA_CERTIFICATE_SEGMENT => Self::NextCaCertificate,
                _ => Self::Domain(domain),
            });
        };
        // A client that appends a path to a domain server URL with its slash makes a double one.
        let action = action.strip_prefix('/').unwrap_or(action);
        match action {
            "register" => return Some(Self::Register(domain)),
            "deregister" => return Some(Self::Deregister(domain)),
            _ => {}
        }
        // The paths of the reference implementation's clients.
        let (action, version) = action.strip_prefix("flashaccess/")?.split_once('/')?;
        match (action, version) {
            ("domain", "v3" | "v4" | "v5" | "v6") => Some(Self::Register(domain)),
            ("dereg", "v3" | "v4" | "v5" | "v6") => Some(Self::Deregister(domain)),
            _ => None,
        }
    }

    /// The methods that the path takes, as `Allow` has them.
    pub fn allow(self) -> &'static str {
        match self {
            Self::Register(_) | Self::Deregister(_) => "POST",
            Self::Domain(_)
            | Self::CaCertificate
            | Self::NextCaCertificate
            | Self::Health
            | Self::OpenApi
            | Self::ConsoleWithoutSlash
            | Self::Console(_) => "GET, HEAD",
            Self::Admin(Some(route)) => route.allow(),
            Self::Admin(None) => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_every_path_of_the_protocol() {
        let base = "/flashaccess/domainserver/living-room";
        for path in ["/register", "/register/", "//register"] {
            assert_eq!(
                Route::of(&format!("{base}{path}")),
                Some(Route::Register("living-room"))
            );
        }
        for version in ["v3", "v4", "v5", "v6"] {
            for slashes in ["/", "//"] {
                for end in ["", "/"] {
                    assert_eq!(
                        Route::of(&format!("{base}{slashes}flashaccess/domain/{version}{end}")),
                        Some(Route::Register("living-room"))
                    );
                    assert_eq!(
                        Route::of(&format!("{base}{slashes}flashaccess/dereg/{version}{end}")),
                        Some(Route::Deregister("living-room"))
                    );
                }
            }
        }
        assert_eq!(
            Route::of("/flashaccess/domainserver/a%2Eb/"),
            Some(Route::Domain("a%2Eb"))
        );
        assert_eq!(
            Route::of("/flashaccess/domainserver/ca.pem"),
            Some(Route::CaCertificate)
        );
        assert_eq!(Route::of("/healthz/"), Some(Route::Health));
        assert_eq!(Route::of("/openapi.json"), Some(Route::OpenApi));
        assert_eq!(Route::of("/console"), Some(Route::ConsoleWithoutSlash));
        for path in ["", "main.js", "vendor/preact.js"] {
            let file = console::file(path).unwrap();
            let path = format!("/console/{path}");
            assert_eq!(Route::of(&path), Some(Route::Console(file)), "{path}");
        }
    }

    #[test]
    fn knows_no_other_path() {
        for path in [
            "/",
            "",
            "/healthz/x",
            "/flashaccess",
            "/flashaccess/domainserver",
            "/flashaccess/domainserver/a/register/x",
            "/flashaccess/domainserver/a///register",
            "/flashaccess/domainserver/a/flashaccess/domain/v2",
            "/flashaccess/domainserver/a/flashaccess/domain/v7",
            "/flashaccess/domainserver/a/flashaccess/domain",
            "/flashaccess/domainserver/a/flashaccess/license/v4",
            "/flashaccess/domainserver/a/REGISTER",
            "/consoles",
            "/console//",
            "/console/index.html",
            "/console/main.js/",
            "/console/../openapi.json",
            "/console/vendor/",
        ] {
            assert_eq!(Route::of(path), None, "{path}");
        }
    }
}
