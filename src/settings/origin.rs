//! Origins of URLs (RFC 6454).

use std::net::Ipv6Addr;

/// The origin of a URL that is nothing but one (RFC 6454), in lower case and without a default
/// port.
pub(super) fn parse(text: &str) -> Option<String> {
    let url: http::Uri = text.parse().ok()?;
    let is_origin = matches!(url.path(), "" | "/") && url.query().is_none();
    is_origin.then(|| of_url(&url)).flatten()
}

/// The origin of an absolute HTTP URL (RFC 6454), in lower case and without a default port.
///
/// Its host is a DNS name or an address: certificates name it, and may name no other (RFC 5280
/// section 4.2.1.6).
pub fn of_url(url: &http::Uri) -> Option<String> {
    let scheme = url.scheme_str()?.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let authority = url.authority()?;
    if authority.as_str().contains('@') || !is_host(authority.host()) {
        return None;
    }
    // An authority ends where its host does, or has a colon and a number after it, which may be
    // missing (RFC 3986 section 3.2.3).
    let after_host = authority.as_str().strip_prefix(authority.host())?;
    let port = match after_host.strip_prefix(':') {
        None if after_host.is_empty() => None,
        Some("") => None,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse::<u16>().ok()?)
        }
        None | Some(_) => return None,
    };
    let host = authority.host().to_ascii_lowercase();
    match port {
        Some(port) if port != default_port => Some(format!("{scheme}://{host}:{port}")),
        _ => Some(format!("{scheme}://{host}")),
    }
}

/// An IPv6 address in brackets, or a DNS name (RFC 1123 section 2.1), which IPv4 addresses look like.
/// Some networks have names with underscores, and some clients write the dot at the end.
fn is_host(text: &str) -> bool {
    if let Some(address) = text.strip_prefix('[') {
        return address
            .strip_suffix(']')
            .is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    name.len() <= 253 && name.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_dns_name_or_an_address() {
        let label = "a".repeat(63);
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        for host in [
            "domains.example",
            "domains.example.",
            "localhost",
            "build_server-2",
            "xn--bcher-kva.example",
            "192.0.2.1",
            "[2001:db8::1]",
            "[::ffff:192.0.2.1]",
            &label,
            &longest,
        ] {
            let origin = format!("https://{host}");
            assert_eq!(parse(&format!("{origin}:443/")), Some(origin.clone()));
            assert_eq!(
                parse(&format!("{origin}:8443")),
                Some(format!("{origin}:8443"))
            );
        }
        for host in [
            "",
            ".",
            "-",
            "a..b",
            ".example",
            "example..",
            "-a.example",
            "a-.example",
            "a!.example",
            "a~b",
            "$(id)",
            "[]",
            "[zz]",
            "[1.2.3.4]",
            "[::1",
            "[v1.a]",
            "[fe80::1%25eth0]",
            &format!("{label}a"),
            &format!("{longest}a"),
        ] {
            assert_eq!(parse(&format!("https://{host}")), None, "{host}");
        }
    }
}
