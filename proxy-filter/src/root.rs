//! Root and stream contexts: thin, each callback a line or two.

use crate::config::Config;
use crate::endpoint::judge::Holder;
use crate::endpoint::{self, Next};
use crate::host::{self, BufferType, Level, MapType};
use crate::outbound::Reply;
use crate::{probe, shared};
use gate::sample::parse_status;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// An endpoint looks for commands this often.
const COMMAND_TICK: Duration = Duration::from_millis(500);

/// One plugin in one VM.
#[derive(Default)]
pub struct Root {
    config: Option<Rc<Config>>,
    vm: u64,
    holder: RefCell<Holder>,
}

impl Root {
    fn configure(&mut self, size: usize) -> Result<(), String> {
        let bytes = host::buffer(BufferType::PluginConfiguration, size);
        let config = Config::parse(&bytes)?;
        if self.vm == 0 {
            self.vm = shared::vm_number();
        }
        let now = host::now();
        if config.role.probes() {
            probe::start(self.vm, &config, now);
        }
        host::set_tick(if config.role.serves() {
            COMMAND_TICK
        } else {
            Duration::from_secs(config.windows.tick_s)
        });
        self.config = Some(Rc::new(config));
        Ok(())
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, headers: usize, body: usize, _trailers: usize) {
        let Some(config) = &self.config else { return };
        // A call that failed has no headers, and asking for them is an error.
        let reply = Reply {
            status: (headers > 0)
                .then(|| host::header(MapType::HttpCallResponseHeaders, b":status"))
                .flatten()
                .and_then(|s| parse_status(&s)),
            body: host::buffer(BufferType::HttpCallResponseBody, body),
        };
        self.holder.borrow_mut().reply(token, &reply, config, host::now());
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        match self.configure(size) {
            Ok(()) => true,
            Err(e) => {
                host::log(Level::Error, &format!("plugin configuration: {e}"));
                false
            }
        }
    }

    fn on_tick(&mut self) {
        let Some(config) = &self.config else { return };
        let now = host::now();
        if config.role.probes() {
            probe::tick(config, now);
        }
        if config.role.serves() {
            self.holder.borrow_mut().tick(self.vm, config, now);
            endpoint::canary::answer_waiting();
        }
    }

    /// As an access logger: the root context is told of each request.
    fn on_log(&mut self) {
        if let Some(by) = self.config.as_ref().and_then(|c| c.slice.as_ref()) {
            probe::log_request(by);
        }
    }

    fn create_http_context(&self, context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream {
            config: self.config.clone(),
            probe: probe::Stream::default(),
            endpoint: endpoint::Stream::new(context_id),
        }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// One request through the HTTP filter.
struct Stream {
    config: Option<Rc<Config>>,
    probe: probe::Stream,
    endpoint: endpoint::Stream,
}

fn action(next: Next) -> Action {
    match next {
        Next::Pass => Action::Continue,
        Next::Hold => Action::Pause,
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, end_of_stream: bool) -> Action {
        let Some(config) = &self.config else {
            return Action::Continue;
        };
        if config.role.serves() {
            let next = self.endpoint.request_headers(config, end_of_stream);
            if next == Next::Hold {
                return Action::Pause;
            }
        }
        if let Some(by) = config.slice.as_ref().filter(|_| config.role.probes()) {
            self.probe.request_headers(by);
        }
        Action::Continue
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        match &self.config {
            Some(_) => action(self.endpoint.request_body(size, end_of_stream)),
            None => Action::Continue,
        }
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        match &self.config {
            Some(_) => action(self.endpoint.request_trailers()),
            None => Action::Continue,
        }
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        let measured =
            self.config.as_ref().is_some_and(|c| c.role.probes()) && !self.endpoint.is_ours();
        if measured {
            self.probe.response_headers();
        }
        Action::Continue
    }

    fn on_log(&mut self) {
        let Some(config) = &self.config else { return };
        if let Some(by) =
            config.slice.as_ref().filter(|_| config.role.probes() && !self.endpoint.is_ours())
        {
            self.probe.log(by);
        }
    }
}
