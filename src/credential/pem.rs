//! Certificates in PEM (RFC 7468). They are public, so they are read through tables, which take a
//! fraction of what reading in constant time does, in every instance's first request.

use anonymous_domains_protocol::base64url;

/// The characters of a line (RFC 7468 section 2).
const LINE: usize = 64;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The certificates of a text, as DER, in its order. There may be text before each.
///
/// # Errors
/// What is wrong: a block that is not a certificate's or not whole, or text without one.
pub fn certificates(text: &str) -> Result<Vec<Vec<u8>>, &'static str> {
    let mut ders = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (before, block) = rest
            .split_once(BEGIN)
            .ok_or("there is text that is no certificate")?;
        if before.contains("-----BEGIN") {
            return Err("there is a block that is no certificate");
        }
        let (base64, after) = block
            .split_once(END)
            .ok_or("a certificate has no END line")?;
        let base64: String = base64.split_ascii_whitespace().collect();
        let der = base64url::decode_standard(&base64).map_err(|_| "a certificate is not Base64")?;
        ders.push(der);
        rest = after.trim_start();
    }
    Ok(ders)
}

/// The text of certificates in DER.
pub fn write<'a>(ders: impl Iterator<Item = &'a [u8]>) -> String {
    let mut text = String::new();
    for der in ders {
        text.push_str(BEGIN);
        let base64 = base64url::encode_standard(der);
        let mut rest = base64.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.len().min(LINE));
            text.extend(["\n", line]);
            rest = after;
        }
        text.push('\n');
        text.push_str(END);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let ders: [&[u8]; 4] = [&[1; 47], &[2; 48], &[3; 49], &[4]];
        let text = write(ders.into_iter());
        assert_eq!(certificates(&text).unwrap(), ders);
        assert!(text.lines().all(|line| line.len() <= 64));
        let one = write([&[1; 48][..]].into_iter());
        let line = "AQEB".repeat(16);
        assert_eq!(one, format!("{BEGIN}\n{line}\n{END}\n"));
    }

    #[test]
    fn each_block_is_a_certificate_and_nothing_else_is_taken() {
        let one = "-----BEGIN CERTIFICATE-----\nAQID\nBAUG\n-----END CERTIFICATE-----\n";
        let other = "-----BEGIN CERTIFICATE-----\r\nBw==\r\n-----END CERTIFICATE-----";
        let both = format!("{one}issuer: CN=A\n{other}\n\n");
        assert_eq!(certificates(one), Ok(vec![vec![1, 2, 3, 4, 5, 6]]));
        assert_eq!(
            certificates(&both),
            Ok(vec![vec![1, 2, 3, 4, 5, 6], vec![7]])
        );
        assert_eq!(certificates(" \n"), Ok(vec![]));
        let key = "-----BEGIN PRIVATE KEY-----\nAQID\n-----END PRIVATE KEY-----\n";
        for wrong in [
            "certificate",
            key,
            &format!("{key}{one}"),
            &format!("{one}{key}"),
            &format!("{one}more"),
            &one.replace("AQID", "AQI"),
            &one.replace("AQID", "AQ=="),
            &one.replace("END", "FIN"),
        ] {
            assert!(certificates(wrong).is_err(), "{wrong}");
        }
    }
}
