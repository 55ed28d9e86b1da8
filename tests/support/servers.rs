//! Real servers on loopback: upstreams and an API server.

use harness::cluster::Cluster;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tiny_http::{Header, Response, Server};

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// An upstream that answers as the path asks: `/STATUS/MS`.
pub struct Upstream {
    pub port: u16,
    /// How long each answer really took here, milliseconds.
    pub took_ms: Arc<Mutex<Vec<f64>>>,
}

impl Upstream {
    pub fn start() -> Self {
        let server = Arc::new(Server::http("127.0.0.1:0").expect("an upstream"));
        let port = server.server_addr().to_ip().expect("an address").port();
        let took_ms = Arc::new(Mutex::new(Vec::new()));
        for _ in 0..16 {
            let (server, took) = (Arc::clone(&server), Arc::clone(&took_ms));
            thread::spawn(move || {
                for request in server.incoming_requests() {
                    let begun = Instant::now();
                    let mut parts = request.url().trim_matches('/').split('/');
                    let status: u16 = parts.next().and_then(|s| s.parse().ok()).unwrap_or(200);
                    let ms: u64 = parts.next().and_then(|s| s.parse().ok()).unwrap_or(0);
                    thread::sleep(Duration::from_millis(ms));
                    let took_here = begun.elapsed().as_secs_f64() * 1000.0;
                    let _ = request.respond(Response::from_string("ok").with_status_code(status));
                    took.lock().unwrap_or_else(PoisonError::into_inner).push(took_here);
                }
            });
        }
        Self { port, took_ms }
    }
}

/// An API server for ConfigMaps over HTTP, on the harness's cluster.
pub struct ApiServer {
    pub port: u16,
    pub cluster: Arc<Mutex<Cluster>>,
}

impl ApiServer {
    pub fn start() -> Self {
        let server = Server::http("127.0.0.1:0").expect("an API server");
        let port = server.server_addr().to_ip().expect("an address").port();
        let cluster = Arc::new(Mutex::new(Cluster::default()));
        let shared = Arc::clone(&cluster);
        thread::spawn(move || {
            for mut request in server.incoming_requests() {
                let mut body = Vec::new();
                let _ = request.as_reader().read_to_end(&mut body);
                let content_type = request
                    .headers()
                    .iter()
                    .find(|h| h.field.equiv("content-type"))
                    .map(|h| h.value.to_string())
                    .unwrap_or_default();
                let (method, url) = (request.method().to_string(), request.url().to_owned());
                let answer = shared
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .http(&method, &url, &content_type, &body);
                let json = Header::from_bytes("content-type", "application/json").expect("a header");
                let response = Response::from_string(answer.body.to_string())
                    .with_status_code(answer.status)
                    .with_header(json);
                let _ = request.respond(response);
            }
        });
        Self { port, cluster }
    }
}
