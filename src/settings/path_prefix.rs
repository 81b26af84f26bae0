//! Where a server is that shares its origin with others.

/// A path to which the server's own are added, without a slash at the end.
///
/// Not one that a path of the server begins with: a host that removes the prefix where a request
/// has it could not tell whether `/admin/v1` has it.
pub(super) fn parse(text: &str) -> Option<String> {
    let path = text.strip_suffix('/').unwrap_or(text);
    let segments = path.strip_prefix('/')?.split('/');
    let are_plain = segments.clone().all(is_plain);
    let is_own = matches!(segments.clone().next(), Some("admin" | "flashaccess"));
    (are_plain && !is_own).then(|| path.to_owned())
}

/// Whether every client writes a segment the same: it needs no percent-encoding, and is not removed
/// as `..` is.
fn is_plain(segment: &str) -> bool {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    !matches!(segment, "" | "." | "..") && segment.bytes().all(is_unreserved)
}
