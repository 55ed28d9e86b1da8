//! Requests that this module sends: what to send and how to read the reply,
//! as values. Sending is the endpoint's tick.

pub mod config_map;

/// A request to a cluster of the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub method: &'static str,
    pub path: String,
    pub content_type: &'static str,
    pub body: Vec<u8>,
}

/// A reply; `status` is `None` where the call itself failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: Option<u16>,
    pub body: Vec<u8>,
}
