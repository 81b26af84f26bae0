//! The two forms of the metrics' page, and which of them a client wants.

/// The media type of Prometheus' own form.
pub(super) const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The media type of OpenMetrics.
pub(super) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether an `Accept` header prefers OpenMetrics 1.0 to Prometheus' own form (RFC 9110 section
/// 12.5.1). A client that says nothing of it gets the latter.
pub(super) fn prefers_open_metrics(accept: &str) -> bool {
    let mut open: f32 = 0.0;
    // How much it wants text/plain, by the most exact range that it names.
    let mut plain = (0, 0.0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let mut quality: f32 = 1.0;
        let mut version = "";
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "q" => quality = value.trim().parse().unwrap_or(0.0),
                "version" => version = value.trim().trim_matches('"'),
                _ => {}
            }
        }
        let exactness = match kind.as_str() {
            "application/openmetrics-text" if ["", "0.0.1", "1.0.0"].contains(&version) => {
                // 0.0.1 is what Prometheus calls the drafts, which 1.0.0 answers.
                open = open.max(quality);
                continue;
            }
            "text/plain" if ["", "0.0.4"].contains(&version) => 3,
            "text/*" => 2,
            "*/*" => 1,
            _ => continue,
        };
        if exactness > plain.0 || exactness == plain.0 && quality > plain.1 {
            plain = (exactness, quality);
        }
    }
    open > 0.0 && open >= plain.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_gets_the_form_that_it_wants() {
        for accept in [
            "application/openmetrics-text",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            "Application/OpenMetrics-Text;version=\"1.0.0\", */*",
        ] {
            assert!(prefers_open_metrics(accept), "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "text/plain",
            "text/plain;version=0.0.4;q=0.9,application/openmetrics-text;q=0.1",
            "text/*, application/openmetrics-text;q=0.9",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;version=2.0.0",
            "text/html,application/xhtml+xml,*/*;q=0.8",
        ] {
            assert!(!prefers_open_metrics(accept), "{accept}");
        }
    }
}
