//! Root and stream contexts by number: thin, each callback a line or two.
//!
//! A number that is not there is never an error: its stream passes, its reply
//! is nobody's.

use crate::config::Config;
use crate::endpoint::judge::Holder;
use crate::endpoint::{self, Next};
use crate::host::{self, BufferType, Level, MapType};
use crate::outbound::{self, Reply};
use crate::{probe, shared};
use gate::sample::parse_status;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;
use std::time::Duration;

/// An endpoint looks for commands this often.
const COMMAND_TICK: Duration = Duration::from_millis(500);

/// Every context of one VM.
#[derive(Default)]
pub struct Contexts {
    roots: BTreeMap<u32, Root>,
    /// The endpoint that was configured last: it alone judges. A push leaves
    /// the old one here until its listener has drained, with its configuration.
    judging: Option<u32>,
    /// Keeps its memory when streams end, so that the next ones allocate none.
    streams: HashMap<u32, Stream, BuildHasherDefault<Sequence>>,
}

/// Contexts are numbered in sequence: the number is its own hash, spread to the
/// upper bits that a hash table looks at.
#[derive(Default)]
struct Sequence(u64);

impl Hasher for Sequence {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.write_u32(u32::from(*b)));
    }
    fn write_u32(&mut self, number: u32) {
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// One plugin in one VM.
#[derive(Default)]
struct Root {
    config: Option<Rc<Config>>,
    vm: u64,
    holder: Holder,
}

/// One request through the HTTP filter.
struct Stream {
    config: Rc<Config>,
    probe: probe::Stream,
    endpoint: endpoint::Stream,
}

impl Contexts {
    pub fn create(&mut self, id: u32, parent: u32) {
        if parent == 0 {
            self.roots.entry(id).or_default();
        } else if let Some(config) = self.roots.get(&parent).and_then(|r| r.config.clone()) {
            let (probe, endpoint) = (probe::Stream::default(), endpoint::Stream::new(id));
            self.streams.insert(id, Stream { config, probe, endpoint });
        }
    }

    pub fn delete(&mut self, id: u32) {
        if self.streams.remove(&id).is_none() {
            self.roots.remove(&id);
            if self.judging == Some(id) {
                let mut others = self.roots.iter().rev();
                self.judging = others.find(|(_, r)| r.serves()).map(|(id, _)| *id);
            }
        }
    }

    /// Whether the plugin runs with this configuration.
    pub fn configure(&mut self, root: u32, size: usize) -> bool {
        let id = root;
        let Some(root) = self.roots.get_mut(&id) else { return false };
        match root.configure(size) {
            Ok(()) => {
                if root.serves() {
                    self.judging = Some(id);
                }
                true
            }
            Err(e) => {
                host::log(Level::Error, &format!("plugin configuration: {e}"));
                false
            }
        }
    }

    pub fn tick(&mut self, root: u32) {
        let judges = self.judging == Some(root);
        if let Some(root) = self.roots.get_mut(&root) {
            root.tick(judges);
        }
    }

    /// The reply to a call-out; one without headers is a call that failed.
    pub fn call_response(&mut self, root: u32, token: u32, has_headers: bool, body: usize) {
        let Some(root) = self.roots.get_mut(&root) else { return };
        let Some(config) = &root.config else { return };
        let header = |name| {
            has_headers.then(|| host::header(MapType::HttpCallResponseHeaders, name)).flatten()
        };
        let reply = Reply {
            status: header(b":status").and_then(|s| parse_status(&s)),
            retry_after_ms: header(b"retry-after").map_or(0, |h| outbound::retry_after_ms(&h)),
            body: host::buffer(BufferType::HttpCallResponseBody, body),
        };
        root.holder.reply(token, &reply, config, host::now());
    }

    pub fn request_headers(&mut self, stream: u32, end_of_stream: bool) -> Next {
        let Some(Stream { config, probe, endpoint }) = self.streams.get_mut(&stream) else {
            return Next::Pass;
        };
        if config.role.serves() && endpoint.request_headers(config, end_of_stream) == Next::Hold {
            return Next::Hold;
        }
        if let Some(by) = config.measured_slice() {
            probe.request_headers(by);
        }
        Next::Pass
    }

    pub fn request_body(&mut self, stream: u32, size: usize, end_of_stream: bool) -> Next {
        let stream = self.streams.get_mut(&stream);
        stream.map_or(Next::Pass, |s| s.endpoint.request_body(&s.config, size, end_of_stream))
    }

    pub fn request_trailers(&mut self, stream: u32) -> Next {
        let stream = self.streams.get_mut(&stream);
        stream.map_or(Next::Pass, |s| s.endpoint.request_trailers(&s.config))
    }

    pub fn response_headers(&mut self, stream: u32) {
        if let Some(stream) = self.streams.get_mut(&stream).filter(|s| s.is_measured()) {
            stream.probe.response_headers();
        }
    }

    pub fn log(&mut self, id: u32) {
        if let Some(stream) = self.streams.get_mut(&id) {
            if let Some(by) = stream.config.measured_slice().filter(|_| stream.is_measured()) {
                stream.probe.log(by);
            }
        } else if let Some(config) = self.roots.get(&id).and_then(|r| r.config.as_ref()) {
            if let Some(by) = &config.slice {
                probe::log_request(by);
            }
        }
    }
}

impl Root {
    fn configure(&mut self, size: usize) -> Result<(), String> {
        let bytes = host::buffer(BufferType::PluginConfiguration, size);
        let config = Config::parse(&bytes)?;
        self.vm = shared::vm_number();
        let now = host::now();
        if config.role.probes() {
            probe::start(self.vm, &config, now);
            probe::tick(now);
        }
        host::set_tick(if config.role.serves() {
            COMMAND_TICK
        } else {
            Duration::from_secs(config.windows.tick_s)
        });
        self.config = Some(Rc::new(config));
        Ok(())
    }

    fn serves(&self) -> bool {
        self.config.as_ref().is_some_and(|c| c.role.serves())
    }

    fn tick(&mut self, judges: bool) {
        let Some(config) = &self.config else { return };
        let now = host::now();
        if config.role.probes() {
            probe::tick(now);
        }
        if config.role.serves() {
            if judges {
                self.holder.tick(self.vm, config, now);
            }
            endpoint::canary::answer_waiting();
        }
    }
}

impl Stream {
    fn is_measured(&self) -> bool {
        self.config.role.probes() && !self.endpoint.is_ours()
    }
}
