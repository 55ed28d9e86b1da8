//! Requests, responses and call-outs as values.

use std::time::Duration;

/// Header names and values; bytes, since nothing makes them text.
pub type Headers = Vec<(Vec<u8>, Vec<u8>)>;

#[derive(Clone, Debug, Default)]
pub struct Request {
    pub headers: Headers,
    pub body: Vec<u8>,
    /// The body is followed by trailers (HTTP/2).
    pub trailers: Option<Headers>,
}

impl Request {
    pub fn new(method: &str, path: &str) -> Self {
        Self::default()
            .header(":method", method)
            .header(":path", path)
            .header(":authority", "gateway.example.com")
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.into(), value.as_ref().into()));
        self
    }

    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    #[must_use]
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().into();
        self
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Response {
    pub status: u16,
    pub headers: Headers,
    pub body: Vec<u8>,
    pub trailers: Headers,
    /// `response.code_details`.
    pub details: String,
    /// `request.duration`, microseconds.
    pub duration_us: u64,
}

impl Response {
    pub fn upstream(status: u16, duration_us: u64) -> Self {
        Self { status, details: "via_upstream".into(), duration_us, ..Self::default() }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A call that a plugin dispatched.
#[derive(Clone, Debug, Default)]
pub struct OutCall {
    pub(super) vm: (usize, String, String),
    pub(super) root: u32,
    pub(super) token: u32,
    pub cluster: String,
    pub headers: Headers,
    pub body: Vec<u8>,
    /// How long the plugin waits for the answer.
    pub timeout: Duration,
}

impl OutCall {
    pub fn header(&self, name: &str) -> String {
        find(&self.headers, name.as_bytes())
            .map(|v| String::from_utf8_lossy(v).into_owned())
            .unwrap_or_default()
    }
}

#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub status: u16,
    pub body: Vec<u8>,
}

pub fn find<'a>(headers: &'a Headers, name: &[u8]) -> Option<&'a [u8]> {
    headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_slice())
}
