//! What each kind of failure counts as, in a real Envoy and as each of the two
//! probes: the table of docs/signals.md.

use serde_json::{json, Value};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tests::envoy::{alone, Envoy, Setup};
use tests::http2::{self, GrpcUpstream};
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
            "name": "envoy.filters.http.health_check",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.health_check.v3.HealthCheck",
                "pass_through_mode": false,
                "headers": [{ "name": ":path", "string_match": { "exact": "/healthz" } }],
            }
        }),
    );
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
        route("/grpc/", json!({ "route": { "cluster": "grpc" } })),
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
    // Its port is the queue's, which nothing here pulls.
    let queue = clusters.iter().position(|c| c["name"] == "queue").unwrap();
    let mut grpc = clusters[queue].clone();
    grpc["name"] = "grpc".into();
    grpc["typed_extension_protocol_options"] = json!({ "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": { "http2_protocol_options": {} },
    } });
    clusters.extend([refused, nobody, grpc]);
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
const NOTHING: [u64; 4] = [0, 0, 0, 0];

fn get(envoy: &Envoy, path: &str) {
    envoy.send(true, path);
}

const REJECTED: &str = "a filter before ours that rejects";

fn http2(envoy: &Envoy, path: &str) {
    let status = http2::send(envoy.vip, "POST", "canary.gw.example.com", path, "", "body");
    assert_eq!(status == 0, path == "/grpc/cut", "{path}: {status}");
}

const TABLE: [Row; 20] = [
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
    ("a failing grpc-status in the trailers", |e| http2(e, "/grpc/14"), ERROR),
    ("a gRPC answer that the upstream breaks off", |e| http2(e, "/grpc/cut"), ERROR),
    ("a direct response to a gRPC call", |e| http2(e, "/direct"), LOCAL),
    ("an answer that the upstream breaks off, with slice.grpc", |e| get(e, "/cut"), ERROR),
    ("a grpc-status of 0 in the trailers", |e| http2(e, "/grpc/0"), SUCCESS),
    ("HTTP/2 with trailers", |e| http2(e, "/200/1"), SUCCESS),
    ("a health check that the proxy answers", |e| get(e, "/healthz"), NOTHING),
];

fn table(configuration: &'static str) {
    let _alone = alone();
    let (canary, stable, grpc) = (Upstream::start(), Upstream::start(), GrpcUpstream::start());
    let envoy = Envoy::start(&Setup {
        configuration,
        canary_port: canary.port,
        stable_port: stable.port,
        api_port: ApiServer::start().port,
        notifier_port: Notifier::start().port,
        windows: json!({ "length_s": 3600, "poll_s": 60, "tick_s": 1 }),
        grpc: true,
        queue: Some((json!({ "source": "facts" }), grpc.port)),
        change,
        ..Setup::default()
    });
    let mut before = counts(&envoy.wait_for(15, "a document", |_| true));
    let mut wrong = Vec::new();
    for (name, send, expected) in TABLE {
        // An HTTP filter is not told of what a filter before it answers.
        let unseen = name == REJECTED && configuration == "http-filter.yaml";
        let expected = if unseen { NOTHING } else { expected };
        send(&envoy);
        let begun = Instant::now();
        let after = loop {
            let after = counts(&envoy.get("/keda/metrics", "bastion").json());
            let seconds = if expected == NOTHING { 3 } else { 6 };
            let patient = begun.elapsed() < Duration::from_secs(seconds);
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

/// A stream of more than a minute counts when it ends, and never as latency.
fn stream(configuration: &'static str, slice: Option<Value>) {
    const SECONDS: u64 = 65;
    let _alone = alone();
    let upstream = Upstream::start();
    let envoy = Envoy::start(&Setup {
        configuration,
        canary_port: upstream.port,
        api_port: ApiServer::start().port,
        notifier_port: Notifier::start().port,
        windows: json!({ "length_s": 3600, "poll_s": 60, "tick_s": 1 }),
        slice,
        change: without_timeouts,
        ..Setup::default()
    });
    envoy.wait_for(15, "a document", |_| true);
    let head = format!("GET /stream/{SECONDS} HTTP/1.1\r\n");
    let mut socket = TcpStream::connect(("127.0.0.1", envoy.vip)).unwrap();
    write!(socket, "{head}host: canary.gw.example.com\r\nconnection: close\r\n\r\n").unwrap();
    let begun = Instant::now();
    std::thread::sleep(Duration::from_secs(5));
    let d = envoy.get("/keda/metrics", "bastion").json();
    assert_eq!(d["canary"]["requests"], 0, "it runs: {d}");
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(SECONDS - 1), "{:?}", begun.elapsed());
    let d = envoy.wait_for(10, "the stream", |d| d["canary"]["requests"] == 1);
    let p99 = d["canary"]["p99_ms"].as_f64();
    println!("{configuration}: a stream of {SECONDS} s: {}", d["canary"]);
    match configuration {
        "http-filter.yaml" => assert!(p99 < Some(1_000.0), "{d}"),
        _ => assert_eq!(p99, None, "{d}"),
    }
    assert_eq!((&d["canary"]["errors"], &d["canary"]["aborted"]), (&json!(0), &json!(0)));
    // Without gRPC an answer that the upstream breaks off is what its status says.
    get(&envoy, "/cut");
    let d = envoy.wait_for(10, "the broken answer", |d| d["canary"]["requests"] == 2);
    assert_eq!(d["canary"]["errors"], 0);
}

/// As a route for streams is configured.
fn without_timeouts(config: &mut Value) {
    let hcm = &mut config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]
        ["typed_config"];
    let hosts = hcm["route_config"]["virtual_hosts"].as_array_mut().unwrap();
    for host in hosts {
        host["routes"][0]["route"]["timeout"] = "0s".into();
    }
}

#[test]
fn a_stream_of_minutes_as_access_logger() {
    stream("access-logger.yaml", Some(json!({ "fixed": "canary", "latency": false })));
}

#[test]
fn a_stream_of_minutes_as_http_filter() {
    stream("http-filter.yaml", None);
}

#[test]
fn as_access_logger() {
    table("access-logger.yaml");
}

#[test]
fn as_http_filter() {
    table("http-filter.yaml");
}
