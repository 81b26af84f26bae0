//! Origins of URLs (RFC 6454).

/// The origin of a URL that is nothing but one (RFC 6454), in lower case and without a default
/// port.
pub(super) fn parse(text: &str) -> Option<String> {
    let url: http::Uri = text.parse().ok()?;
    let is_origin = matches!(url.path(), "" | "/") && url.query().is_none();
    is_origin.then(|| of_url(&url)).flatten()
}

/// The origin of an absolute HTTP URL (RFC 6454), in lower case and without a default port.
pub fn of_url(url: &http::Uri) -> Option<String> {
    let scheme = url.scheme_str()?.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let authority = url.authority()?;
    if authority.as_str().contains('@') || authority.host().is_empty() {
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
