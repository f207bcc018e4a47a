//! W3C Trace Context: the `traceparent` of a request, passed on in messages so that one order can
//! be followed through all services (<https://www.w3.org/TR/trace-context/>, §3.2).

use http::HeaderMap;

/// `00-` and 32, 16 and 2 hexadecimal digits.
const LENGTH: usize = 55;

/// The `traceparent` of a request, where it has exactly one and that is well formed. Anything else is dropped, as the
/// specification asks: it is text from a client, and it would be stored and copied into every message.
pub fn of_request(headers: &HeaderMap) -> Option<String> {
    let mut all = headers.get_all("traceparent").iter();
    let (Some(value), None) = (all.next(), all.next()) else {
        return None;
    };
    well_formed(value.to_str().ok()?)
}

/// A `traceparent` in the form of version 00. Of a later version, its first four fields are kept (§4.3).
pub fn well_formed(text: &str) -> Option<String> {
    // Before it is cut: only then is every index the beginning of a character.
    if !text.is_ascii() {
        return None;
    }
    let (known, rest) = text.split_at_checked(LENGTH)?;
    let mut fields = known.split('-');
    let mut field = |length: usize| {
        let field = fields.next()?;
        (field.len() == length && field.bytes().all(is_lower_hex)).then_some(field)
    };
    let (version, trace, parent, flags) = (field(2)?, field(32)?, field(16)?, field(2)?);
    let whole = match version {
        "ff" => false,
        "00" => rest.is_empty(),
        _ => rest.is_empty() || rest.starts_with('-'),
    };
    let zero = |field: &str| field.bytes().all(|byte| byte == b'0');
    (whole && !zero(trace) && !zero(parent)).then(|| format!("00-{trace}-{parent}-{flags}"))
}

fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_has_the_shape_is_kept() {
        for text in [
            GOOD,
            &GOOD.replace("-01", "-00"),
            &GOOD.replace("-01", "-ff"),
        ] {
            assert_eq!(well_formed(text).as_deref(), Some(text));
        }
        for later in ["01", "cc", "fe"] {
            let text = GOOD.replacen("00-", &format!("{later}-"), 1);
            assert_eq!(well_formed(&text).as_deref(), Some(GOOD));
            assert_eq!(
                well_formed(&format!("{text}-what-comes")).as_deref(),
                Some(GOOD)
            );
            assert_eq!(well_formed(&format!("{text}.")), None);
        }
    }

    #[test]
    fn anything_else_is_dropped() {
        let long = format!("{GOOD}-{}", "a".repeat(20_000));
        for text in [
            "",
            "00",
            &GOOD[..54],
            &format!("{GOOD}0"),
            &format!("{GOOD}-"),
            &format!(" {GOOD}"),
            &format!("{GOOD} "),
            &long,
            &GOOD.to_uppercase(),
            &GOOD.replace("0af7", "0AF7"),
            &GOOD.replace("0af7", "0xg7"),
            &GOOD.replacen("00-", "ff-", 1),
            &GOOD.replacen("00-", "0-0", 1),
            &GOOD.replace('-', "_"),
            &GOOD.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            &GOOD.replace("b7ad6b7169203331", &"0".repeat(16)),
            &GOOD.replace("b7ad", "b7é"),
            &GOOD.replace("-01", "-0\n"),
        ] {
            assert_eq!(well_formed(text), None, "{text}");
        }
    }

    #[test]
    fn two_of_them_are_none() {
        let mut headers = HeaderMap::new();
        assert_eq!(of_request(&headers), None);
        headers.append("traceparent", HeaderValue::from_static(GOOD));
        assert_eq!(of_request(&headers).as_deref(), Some(GOOD));
        headers.append("traceparent", HeaderValue::from_static(GOOD));
        assert_eq!(of_request(&headers), None);
        let opaque = HeaderValue::from_bytes(b"\xff").expect("opaque text");
        headers.insert("traceparent", opaque);
        assert_eq!(of_request(&headers), None);
    }
}
