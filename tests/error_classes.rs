//! What each kind of failure counts as, in a real Envoy and as each of the two
//! probes: the table of docs/signals.md.

use serde_json::{json, Value};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tests::envoy::{alone, Envoy, Setup};
use tests::servers::{ApiServer, Notifier, Upstream};

/// Routes and a filter before ours that fail in ways of their own.
fn change(config: &mut Value) {
    let hcm = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]
        ["typed_config"]
        .as_object_mut()
        .unwrap();
    hcm.insert("upgrade_configs".into(), json!([{ "upgrade_type": "websocket" }]));
    let filters = hcm["http_filters"].as_array_mut().unwrap();
    filters.insert(
        0,
        json!({
            "name": "envoy.filters.http.fault",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
                "abort": { "header_abort": {}, "percentage": { "numerator": 100 } },
            }
        }),
    );
    let route = |prefix: &str, rest: Value| {
        let mut route = json!({ "match": { "prefix": prefix } });
        route.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        route
    };
    let routes = hcm["route_config"]["virtual_hosts"][0]["routes"].as_array_mut().unwrap();
    let before = [
        route("/refused", json!({ "route": { "cluster": "refused" } })),
        route("/nobody", json!({ "route": { "cluster": "nobody" } })),
        route(
            "/slow",
            json!({ "route": { "cluster": "canary", "timeout": "0.3s", "prefix_rewrite": "/200/2000" } }),
        ),
        route(
            "/flaky",
            json!({ "route": { "cluster": "canary", "retry_policy": { "retry_on": "5xx", "num_retries": 2 } } }),
        ),
        route("/direct", json!({ "direct_response": { "status": 503 } })),
    ];
    routes.splice(0..0, before);
    let clusters = config["static_resources"]["clusters"].as_array_mut().unwrap();
    let mut refused = clusters[0].clone();
    refused["name"] = "refused".into();
    refused["load_assignment"] = json!({ "cluster_name": "refused", "endpoints": [{ "lb_endpoints": [
        { "endpoint": { "address": { "socket_address": { "address": "127.0.0.1", "port_value": 1 } } } }
    ] }] });
    let mut nobody = refused.clone();
    nobody["name"] = "nobody".into();
    nobody["load_assignment"] = json!({ "cluster_name": "nobody", "endpoints": [] });
    clusters.extend([refused, nobody]);
}

/// Bytes through a socket of one's own; hangs up after `patience` or the answer.
fn raw(envoy: &Envoy, head: &str, patience: Duration) {
    let mut socket = TcpStream::connect(("127.0.0.1", envoy.vip)).unwrap();
    socket.set_read_timeout(Some(patience)).unwrap();
    write!(socket, "{head}host: canary.gw.example.com\r\n\r\n").unwrap();
    let _ = socket.read(&mut [0; 1024]);
}

const FIELDS: [&str; 4] = ["requests", "errors", "local_errors", "aborted"];

fn counts(d: &Value) -> [u64; 4] {
    FIELDS.map(|field| d["canary"][field].as_u64().unwrap())
}

/// Requests, errors, local errors and aborted that one request adds.
type Row = (&'static str, fn(&Envoy), [u64; 4]);

const ERROR: [u64; 4] = [1, 1, 0, 0];
const SUCCESS: [u64; 4] = [1, 0, 0, 0];
const LOCAL: [u64; 4] = [0, 0, 1, 0];
const ABORTED: [u64; 4] = [0, 0, 0, 1];

fn get(envoy: &Envoy, path: &str) {
    envoy.send(true, path);
}

const REJECTED: &str = "a filter before ours that rejects";

const TABLE: [Row; 13] = [
    ("an answer of the upstream", |e| get(e, "/200/1"), SUCCESS),
    ("a 4xx of the upstream", |e| get(e, "/404/1"), SUCCESS),
    ("a 5xx of the upstream", |e| get(e, "/502/1"), ERROR),
    ("an upstream that refuses", |e| get(e, "/refused"), ERROR),
    ("no healthy upstream", |e| get(e, "/nobody"), ERROR),
    ("an upstream that hangs up before its headers", |e| get(e, "/reset"), ERROR),
    ("an upstream that takes longer than the route allows", |e| get(e, "/slow"), ERROR),
    ("a failure that a retry hides", |e| get(e, "/flaky"), SUCCESS),
    ("a direct response of the proxy", |e| get(e, "/direct"), LOCAL),
    (
        REJECTED,
        |e| {
            raw(
                e,
                "GET /200/1 HTTP/1.1\r\nx-envoy-fault-abort-request: 503\r\n",
                Duration::from_secs(3),
            );
        },
        LOCAL,
    ),
    (
        "a client that goes away",
        |e| raw(e, "GET /200/3000 HTTP/1.1\r\n", Duration::from_millis(300)),
        ABORTED,
    ),
    (
        "an upgrade",
        |e| {
            raw(
                e,
                "GET /101/1 HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n",
                Duration::from_secs(3),
            );
        },
        SUCCESS,
    ),
    ("a failing grpc-status in the headers", |e| get(e, "/grpc13"), ERROR),
];

fn table(configuration: &'static str) {
    let _alone = alone();
    let (canary, stable) = (Upstream::start(), Upstream::start());
    let envoy = Envoy::start(&Setup {
        configuration,
        canary_port: canary.port,
        stable_port: stable.port,
        api_port: ApiServer::start().port,
        notifier_port: Notifier::start().port,
        windows: json!({ "length_s": 3600, "poll_s": 60, "tick_s": 1 }),
        grpc: true,
        change,
        ..Setup::default()
    });
    let mut before = counts(&envoy.wait_for(15, "a document", |_| true));
    let mut wrong = Vec::new();
    for (name, send, expected) in TABLE {
        // An HTTP filter is not told of what a filter before it answers.
        let unseen = name == REJECTED && configuration == "http-filter.yaml";
        let expected = if unseen { [0; 4] } else { expected };
        send(&envoy);
        let begun = Instant::now();
        let after = loop {
            let after = counts(&envoy.get("/keda/metrics", "bastion").json());
            let patient = begun.elapsed() < Duration::from_secs(6);
            if after != before || !patient {
                break after;
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        let added: Vec<u64> = after.iter().zip(before).map(|(a, b)| a - b).collect();
        println!("{configuration}: {name}: {FIELDS:?} +{added:?}");
        if added != expected {
            wrong.push(format!("{name}: {added:?}, expected {expected:?}"));
        }
        before = after;
    }
    assert!(wrong.is_empty(), "{configuration}: {}\n{}", wrong.join("\n"), envoy.log());
}

#[test]
fn as_access_logger() {
    table("access-logger.yaml");
}

#[test]
fn as_http_filter() {
    table("http-filter.yaml");
}
