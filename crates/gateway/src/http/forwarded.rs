//! The client's address, as proxies tell it: `Forwarded` (RFC 7239) or `X-Forwarded-For`.
//!
//! Each proxy adds the address of whoever connected to it at the end. So the list is read from its
//! end for as long as the address before was a trusted proxy's: what stands further to the left was
//! written by somebody else.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, header::FORWARDED};

use crate::limits::Network;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of the client whose request came from `remote`.
///
/// What is malformed or hidden ends the list: then it is the last address before that. A proxy
/// writes one of the two headers and may pass on the other as the client wrote it. If both are there
/// and say different things, neither is believed.
pub fn client_address(remote: IpAddr, trusted: &[Network], headers: &HeaderMap) -> IpAddr {
    let remote = remote.to_canonical();
    if trusted.is_empty() || !is_trusted(trusted, remote) {
        return remote;
    }
    let listed = headers.contains_key(X_FORWARDED_FOR).then(|| {
        let fields = values(headers, &X_FORWARDED_FOR);
        let list = fields.iter().flat_map(|field| field.split(','));
        walk(remote, trusted, list.map(address).collect())
    });
    let forwarded = headers.contains_key(FORWARDED).then(|| {
        let fields = values(headers, &FORWARDED);
        let list = fields.iter().flat_map(|field| split(field, ','));
        walk(remote, trusted, list.map(element).collect())
    });
    match (listed, forwarded) {
        (Some(one), Some(other)) if one != other => remote,
        (Some(address), _) | (None, Some(address)) => address,
        (None, None) => remote,
    }
}

/// Goes from the last of the list to the first that is no trusted proxy.
fn walk(remote: IpAddr, trusted: &[Network], list: Vec<Option<IpAddr>>) -> IpAddr {
    let mut client = remote;
    for address in list.into_iter().rev() {
        let Some(address) = address.filter(|_| is_trusted(trusted, client)) else {
            break;
        };
        client = address;
    }
    client
}

fn is_trusted(trusted: &[Network], address: IpAddr) -> bool {
    trusted.iter().any(|network| network.contains(address))
}

/// The header's lines, in their order. A line that is no text is one malformed entry.
fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
    let lines = headers.get_all(name).iter();
    lines.map(|line| line.to_str().unwrap_or("")).collect()
}

/// The address in `for=` of one element: `for=192.0.2.60;proto=http`.
fn element(text: &str) -> Option<IpAddr> {
    let mut found = None;
    for pair in split(text, ';') {
        let (name, value) = pair.split_once('=')?;
        if name.trim().eq_ignore_ascii_case("for") && found.replace(value.trim()).is_some() {
            return None;
        }
    }
    let value = found?;
    let node = match value.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"')?,
        None => value,
    };
    address(node)
}

/// The parts between separators that are not in quotes.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(|c: char| {
        let was_escaped = escaped;
        escaped = quoted && c == '\\' && !was_escaped;
        if c == '"' && !was_escaped {
            quoted = !quoted;
        }
        c == separator && !quoted
    })
    .collect()
}

/// An address, with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`,
/// `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let with_port = || {
        text.parse()
            .ok()
            .map(|address: std::net::SocketAddr| address.ip())
    };
    let address: IpAddr = bare.unwrap_or(text).parse().ok().or_else(with_port)?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(remote: &str, headers: &[(&str, &str)]) -> String {
        let trusted = ["10.0.0.0/8", "127.0.0.1", "2001:db8:1::/48"];
        let trusted = trusted.map(|text| text.parse().unwrap());
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            map.append(name, value.parse().unwrap());
        }
        client_address(remote.parse().unwrap(), &trusted, &map).to_string()
    }

    #[test]
    fn the_list_is_read_from_its_end() {
        let from = |remote, list| found(remote, &[("x-forwarded-for", list)]);
        assert_eq!(from("10.0.0.1", "192.0.2.1"), "192.0.2.1");
        assert_eq!(from("10.0.0.1", "203.0.113.9, 192.0.2.1"), "192.0.2.1");
        assert_eq!(from("10.0.0.1", "9.9.9.9, 192.0.2.1,10.0.0.2"), "192.0.2.1");
        assert_eq!(from("::ffff:10.0.0.1", "192.0.2.1:5000"), "192.0.2.1");
        assert_eq!(from("10.0.0.1", "10.0.0.3, 10.0.0.2"), "10.0.0.3");
        assert_eq!(from("10.0.0.1", "[2001:db8::7]:443"), "2001:db8::7");
        assert_eq!(from("2001:db8:1::1", "2001:db8::7"), "2001:db8::7");
        // Nobody else is believed.
        assert_eq!(from("192.0.2.7", "203.0.113.9"), "192.0.2.7");
        let lines = [
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-for", "10.0.0.2"),
        ];
        assert_eq!(found("10.0.0.1", &lines), "192.0.2.1");
    }

    #[test]
    fn what_is_malformed_ends_it() {
        let from = |list| found("10.0.0.1", &[("x-forwarded-for", list)]);
        assert_eq!(from("nonsense"), "10.0.0.1");
        assert_eq!(from(""), "10.0.0.1");
        assert_eq!(from("192.0.2.1, unknown"), "10.0.0.1");
        assert_eq!(from("192.0.2.1, unknown, 10.0.0.9"), "10.0.0.9");
        assert_eq!(from("nonsense, 192.0.2.1"), "192.0.2.1");
        assert_eq!(from("192.0.2.1,"), "10.0.0.1");
    }

    #[test]
    fn forwarded_has_elements() {
        let from = |list| found("10.0.0.1", &[("forwarded", list)]);
        assert_eq!(from("for=192.0.2.43"), "192.0.2.43");
        assert_eq!(from("by=10.0.0.1;For=192.0.2.43;proto=https"), "192.0.2.43");
        assert_eq!(
            from("for=\"[2001:db8:cafe::17]:4711\""),
            "2001:db8:cafe::17"
        );
        assert_eq!(
            from("for=9.9.9.9, for=192.0.2.43, for=10.0.0.2"),
            "192.0.2.43"
        );
        assert_eq!(
            from("host=\"a,for=9.9.9.9;b\";for=192.0.2.43"),
            "192.0.2.43"
        );
        assert_eq!(from("host=\"\\\",\";for=192.0.2.43"), "192.0.2.43");
        assert_eq!(from("for=192.0.2.43, for=_hidden"), "10.0.0.1");
        assert_eq!(from("for=192.0.2.43, for=unknown"), "10.0.0.1");
        assert_eq!(from("for=192.0.2.43;for=192.0.2.44"), "10.0.0.1");
        assert_eq!(from("for=\"192.0.2.43"), "10.0.0.1");
        assert_eq!(from("proto=http"), "10.0.0.1");
    }

    #[test]
    fn two_headers_must_say_the_same() {
        let both = |list, forwarded| {
            found(
                "10.0.0.1",
                &[("x-forwarded-for", list), ("forwarded", forwarded)],
            )
        };
        assert_eq!(both("192.0.2.1", "for=192.0.2.1"), "192.0.2.1");
        assert_eq!(both("192.0.2.1", "for=9.9.9.9"), "10.0.0.1");
    }
}
