//! Which headers cross, by name: the rules that both directions share.

/// Which message the fields belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Request,
    Response,
    Trailers,
}

/// How a name is treated; the rest depends on the [`Kind`] and the direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    Pass,
    /// Concerns one hop: never crosses.
    HopByHop,
    /// As `HopByHop`, and names more such headers.
    Connection,
    Te,
    Host,
    ContentLength,
    Cookie,
    Expect,
}

/// SPDY/3.1 sections 3.2.1 and 3.2.2 forbid Connection, Keep-Alive, Proxy-Connection and Transfer-Encoding, and
/// Host in requests. Upgrade and TE concern one hop as well (RFC 9110 section 7.6.1).
pub(super) fn rule_of(name: &str) -> Rule {
    match name {
        "connection" => Rule::Connection,
        "keep-alive" | "proxy-connection" | "transfer-encoding" | "upgrade" => Rule::HopByHop,
        "te" => Rule::Te,
        "host" => Rule::Host,
        "content-length" => Rule::ContentLength,
        "cookie" => Rule::Cookie,
        "expect" => Rule::Expect,
        _ => Rule::Pass,
    }
}

/// The names in `Connection`, of which a header map may have several lines and a block several members.
///
/// `content-length` and `te` have rules of their own and cannot be named away: a peer could otherwise switch off
/// the check of the length, and `TE: trailers` has to be listed there in HTTP/1.1 although it may stay.
pub(super) fn connection_names(value: &[u8]) -> impl Iterator<Item = &str> {
    value
        .split(|&b| b == b',' || b == 0)
        .filter_map(|token| std::str::from_utf8(token.trim_ascii()).ok())
        .filter(|name| !name.is_empty())
        .filter(|name| {
            !name.eq_ignore_ascii_case("content-length") && !name.eq_ignore_ascii_case("te")
        })
}

/// Whether a `TE` value says that trailers are welcome, whatever transfer codings it lists besides.
pub(super) fn accepts_trailers(value: &[u8]) -> bool {
    value
        .split(|&b| b == b',' || b == 0)
        .any(|token| token.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

/// The length that all members agree on; `None` if one is not a number, or they differ.
pub(super) fn agreed_length<'a>(members: impl Iterator<Item = &'a [u8]>) -> Option<u64> {
    let mut agreed = None;
    for member in members {
        // `parse` alone would take a sign.
        if !member.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let length: u64 = std::str::from_utf8(member).ok()?.parse().ok()?;
        if *agreed.get_or_insert(length) != length {
            return None;
        }
    }
    agreed
}

/// Cookie lines as one.
pub(super) fn joined<'a>(cookies: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut all = Vec::new();
    for cookie in cookies {
        if !all.is_empty() {
            all.extend_from_slice(b"; ");
        }
        all.extend_from_slice(cookie);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_to_agree() {
        let of = |value: &'static str| agreed_length(value.as_bytes().split(|&b| b == 0));
        assert_eq!(of("0"), Some(0));
        assert_eq!(of("12\x0012"), Some(12));
        assert_eq!(of("18446744073709551615"), Some(u64::MAX));
        for bad in [
            "",
            "+1",
            "-1",
            " 1",
            "1,1",
            "0x1",
            "1\x002",
            "18446744073709551616",
        ] {
            assert_eq!(of(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn connection_names_are_split_and_trimmed() {
        let names: Vec<_> = connection_names(b"close, X-A ,,te\x00Content-Length, x-b\t").collect();
        assert_eq!(names, ["close", "X-A", "x-b"]);
    }
}
