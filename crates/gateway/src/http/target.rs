//! The request's target as an absolute URI.
//!
//! The component gets the host only from the scheme and authority of the request: HTTP/1.1's `Host`
//! header does not reach it.

use std::net::SocketAddr;

use http::{
    Method, Request, Uri, Version,
    header::HOST,
    uri::{Authority, PathAndQuery, Scheme},
};

use super::problem::Problem;

/// Makes the request's URI absolute, from its `Host` header (RFC 9112 section 3.2, RFC 9113 section
/// 8.3.1). The scheme is that of the connection; the setting `public_origin` gives the origin that a
/// proxy serves. An HTTP/1.0 request may have no such header. Then `local` is the host, if it is known.
///
/// Removes `prefix`, the setting `public_path_prefix`, from the path, if a router or proxy has not
/// removed it before. No path of the component begins with it.
///
/// # Errors
///
/// [`Problem::BadTarget`] if the header is missing, repeated or invalid, if it contradicts an
/// authority in the URI, or if the target is not a path.
pub fn make_absolute<B>(
    request: &mut Request<B>,
    scheme: Scheme,
    local: Option<SocketAddr>,
    prefix: &str,
) -> Result<(), Problem> {
    if request.method() == Method::CONNECT {
        return Err(Problem::BadTarget("this server is no proxy"));
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => Some(parse(host.as_bytes())?),
        (None, _) => None,
        (Some(_), Some(_)) => return Err(Problem::BadTarget("there are several Host headers")),
    };
    let in_uri = match request.uri().authority() {
        Some(authority) => Some(parse(authority.as_str().as_bytes())?),
        None => None,
    };
    let authority = match (in_uri, host, request.version()) {
        // A target in absolute form overrides the header (RFC 9112 section 3.2.2).
        (Some(uri), Some(_), Version::HTTP_11) => uri,
        (Some(uri), Some(host), _) if uri == host => uri,
        (Some(_), Some(_), _) => {
            return Err(Problem::BadTarget("the Host header and the URI differ"));
        }
        (Some(_), None, Version::HTTP_11) | (None, None, Version::HTTP_11) => {
            return Err(Problem::BadTarget("the Host header is missing"));
        }
        (Some(uri), None, _) => uri,
        (None, Some(host), _) => host,
        (None, None, Version::HTTP_10 | Version::HTTP_09) => {
            let local = local.ok_or(Problem::BadTarget("the Host header is missing"))?;
            parse(local.to_string().as_bytes())?
        }
        (None, None, _) => return Err(Problem::BadTarget("the authority is missing")),
    };
    let path = match request.uri().path_and_query() {
        Some(path) if path.as_str().starts_with('/') => path.clone(),
        // http://host?query means http://host/?query (RFC 9110 section 4.2.3).
        Some(query) if query.path() == "/" => query.clone(),
        None => PathAndQuery::from_static("/"),
        Some(_) => return Err(Problem::BadTarget("the target is no path")),
    };
    let without = without_prefix(path.as_str(), prefix).and_then(|rest| rest.parse().ok());
    let path = without.unwrap_or(path);
    *request.uri_mut() = Uri::builder()
        .scheme(scheme)
        .authority(authority)
        .path_and_query(path)
        .build()
        .map_err(|_| Problem::BadTarget("the target is no URI"))?;
    Ok(())
}

/// The path without `prefix`; `None` if it does not begin with that and another path.
pub(super) fn without_prefix<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(prefix).filter(|_| !prefix.is_empty());
    rest.filter(|rest| rest.starts_with('/'))
}

/// A host with an optional port, without user information.
fn parse(text: &[u8]) -> Result<Authority, Problem> {
    let invalid = Problem::BadTarget("the Host header is no host");
    let authority = Authority::try_from(text).map_err(|_| invalid)?;
    // An invalid port parses as if there were none.
    let (host, whole) = (authority.host(), authority.as_str());
    let port_is_valid = match whole.strip_prefix(host) {
        Some("") => true,
        Some(port) => port == ":" || authority.port_u16().is_some(),
        None => false,
    };
    if host.is_empty() || whole.contains('@') || !port_is_valid {
        return Err(invalid);
    }
    Ok(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn absolute(
        version: Version,
        method: Method,
        uri: &str,
        hosts: &[&str],
    ) -> Result<String, Problem> {
        let mut request = Request::builder().version(version).method(method).uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let mut request = request.body(()).unwrap();
        let local = ([127, 0, 0, 1], 3000).into();
        make_absolute(&mut request, Scheme::HTTP, Some(local), "/x")?;
        Ok(request.uri().to_string())
    }

    #[test]
    fn http_1_takes_the_host_header() {
        let get = |uri, hosts: &[&str]| absolute(Version::HTTP_11, Method::GET, uri, hosts);
        assert_eq!(get("/a?b=c", &["h:80"]).unwrap(), "http://h:80/a?b=c");
        assert_eq!(get("/", &["[::1]:3000"]).unwrap(), "http://[::1]:3000/");
        assert_eq!(get("//a", &["h"]).unwrap(), "http://h//a");
        assert_eq!(get("https://u/a", &["h"]).unwrap(), "http://u/a");
        for hosts in [
            &[][..],
            &["h", "h"],
            &[""],
            &["h:port"],
            &["h:99999"],
            &["u@h"],
            &["h@h:80"],
            &["h:80@h:80"],
            &["h/p"],
            &["a b"],
            &["["],
        ] {
            assert!(get("/", hosts).is_err(), "{hosts:?}");
        }
        assert!(get("*", &["h"]).is_err());
        assert!(absolute(Version::HTTP_11, Method::CONNECT, "h:80", &["h:80"]).is_err());
    }

    #[test]
    fn the_scheme_is_the_connections() {
        for uri in ["/a", "http://h/a", "https://h/a"] {
            let request = Request::get(uri).header(HOST, "h").body(());
            let mut request = request.unwrap();
            make_absolute(&mut request, Scheme::HTTPS, None, "").unwrap();
            assert_eq!(request.uri(), "https://h/a");
        }
    }

    #[test]
    fn a_prefix_is_removed_once_if_it_is_there() {
        let path = |uri| absolute(Version::HTTP_11, Method::GET, uri, &["h"]).unwrap();
        assert_eq!(path("/x/a?b=/x/"), "http://h/a?b=/x/");
        assert_eq!(path("http://h/x/x//a%20b"), "http://h/x//a%20b");
        for other in ["/a", "/x", "/x?a", "/xa", "/X/a"] {
            assert_eq!(path(other), format!("http://h{other}"));
        }
    }

    #[test]
    fn http_1_0_may_omit_the_header() {
        let get = |hosts: &[&str]| absolute(Version::HTTP_10, Method::GET, "/a", hosts);
        assert_eq!(get(&[]).unwrap(), "http://127.0.0.1:3000/a");
        assert_eq!(get(&["h"]).unwrap(), "http://h/a");
    }

    #[test]
    fn http_2_takes_the_authority() {
        let get = |uri, hosts: &[&str]| absolute(Version::HTTP_2, Method::GET, uri, hosts);
        assert_eq!(get("http://h/a", &[]).unwrap(), "http://h/a");
        assert_eq!(get("http://h/a", &["h"]).unwrap(), "http://h/a");
        assert_eq!(get("/a", &["h"]).unwrap(), "http://h/a");
        assert!(get("http://h/a", &["other"]).is_err());
        assert!(get("/a", &[]).is_err());
    }
}
