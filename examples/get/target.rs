//! The URL.

use http::Uri;

use crate::failure::{Code, Failure};

/// The port of the other examples; SPDY over plain TCP has none of its own.
const DEFAULT_PORT: u16 = 6121;

/// Where to connect to, and what to ask for.
#[derive(Debug)]
pub(crate) struct Target {
    /// Without the brackets of an IPv6 address.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The URI of the request.
    pub(crate) uri: Uri,
}

impl Target {
    pub(crate) fn parse(url: &str) -> Result<Self, Failure> {
        let bad = |why: &str| {
            let text = format!("bad URL {url:?}: {why}; write spdy://HOST:PORT/PATH");
            Failure::new(Code::Url, text)
        };
        if !url.contains("://") {
            return Err(bad("it has no scheme"));
        }
        let uri: Uri = url
            .parse()
            .map_err(|error: http::uri::InvalidUri| bad(&error.to_string()))?;
        match uri.scheme_str() {
            Some("spdy" | "http") => {}
            Some("spdys" | "https") => return Err(bad("TLS is not supported")),
            _ => return Err(bad("the scheme is not spdy")),
        }
        let authority = uri.authority().ok_or_else(|| bad("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad(
                "credentials in it are not sent, use -H 'Authorization: ..'",
            ));
        }
        let host = authority.host();
        if host.is_empty() {
            return Err(bad("it has no host"));
        }
        let port = match authority.port_u16() {
            Some(0) => return Err(bad("port 0 cannot be connected to")),
            Some(port) => port,
            None if authority.as_str().len() > host.len() => {
                return Err(bad("the port is not a number up to 65535"));
            }
            None => DEFAULT_PORT,
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let request = Uri::builder()
            .scheme("http")
            .authority(authority.clone())
            .path_and_query(path)
            .build()
            .map_err(|error| bad(&error.to_string()))?;
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            uri: request,
        })
    }

    /// Leaves the host to the Host header.
    pub(crate) fn forget_host(&mut self) {
        let path = self.uri.path_and_query().cloned();
        self.uri = path.map_or_else(Uri::default, Uri::from);
    }

    /// For messages.
    pub(crate) fn peer(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}
