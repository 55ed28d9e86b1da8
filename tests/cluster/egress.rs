//! The way from the API server to services. No node forwards a service's
//! address here, so the API server goes by its egress proxy (HTTP CONNECT over a
//! Unix socket, as konnectivity has it), which knows where on loopback they are.

use anyhow::Result;
use serde_json::{json, Value};
use std::collections::BTreeMap;
use std::io::{copy, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// A request's head ends far sooner.
const LONGEST_HEAD: usize = 4096;

/// Ports on loopback by a service's address, `host:port`.
type Routes = Arc<Mutex<BTreeMap<String, u16>>>;

#[derive(Clone)]
pub struct Egress {
    routes: Routes,
    socket: PathBuf,
}

impl Egress {
    /// Listens until the process ends.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn start() -> Result<Self> {
        // A socket's path is short by nature, and this checkout's may not be.
        let name = format!("canary-gate-egress-{}.sock", std::process::id());
        let socket = std::env::temp_dir().join(name);
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket)?;
        let routes = Routes::default();
        let known = routes.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let routes = known.clone();
                thread::spawn(move || serve(client, &routes));
            }
        });
        Ok(Self { routes, socket })
    }

    /// What the API server is told by `--egress-selector-config-file`.
    pub fn configuration(&self) -> Value {
        json!({
            "apiVersion": "apiserver.k8s.io/v1beta1", "kind": "EgressSelectorConfiguration",
            "egressSelections": [{
                "name": "cluster",
                "connection": {
                    "proxyProtocol": "HTTPConnect",
                    "transport": { "uds": { "udsName": self.socket } },
                },
            }],
        })
    }

    /// From now on this address is that port on loopback.
    pub fn lead(&self, address: &str, port: u16) {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        routes.insert(address.to_owned(), port);
    }
}

/// The address that is asked for, `host:port`.
fn asked(client: &mut UnixStream) -> Option<String> {
    let (mut head, mut byte) = (vec![], [0]);
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte).ok()?;
        head.extend(byte);
        if head.len() > LONGEST_HEAD {
            return None;
        }
    }
    let head = String::from_utf8(head).ok()?;
    Some(head.strip_prefix("CONNECT ")?.split(' ').next()?.to_owned())
}

fn connect(address: &str, routes: &Routes) -> std::io::Result<TcpStream> {
    let port = routes.lock().unwrap_or_else(PoisonError::into_inner).get(address).copied();
    let stream = match port {
        Some(port) => TcpStream::connect(("127.0.0.1", port)),
        None => TcpStream::connect(address),
    }?;
    // Else each small write waits for the one before to be acknowledged, 40 ms.
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn serve(mut client: UnixStream, routes: &Routes) -> Option<()> {
    let address = asked(&mut client)?;
    let Ok(server) = connect(&address, routes) else {
        return client.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").ok();
    };
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
    let (mut from_client, mut to_server) = (client.try_clone().ok()?, server.try_clone().ok()?);
    thread::spawn(move || {
        let _ = copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    let (mut from_server, mut to_client) = (server, client);
    let _ = copy(&mut from_server, &mut to_client);
    to_client.shutdown(Shutdown::Write).ok()
}
