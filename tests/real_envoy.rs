//! The built filter in a real Envoy, as each of the two probes, and its
//! verdict in the built policy.

use harness::clock::Clock;
use harness::scenario::setup::admission_request;
use serde_json::{json, Value};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tests::envoy::{alone, Envoy, Setup};
use tests::servers::{ApiServer, Notifier, Upstream};
use tests::simulation::{modules, scenario};

struct Rig {
    // Dropped in this order: Envoy ends before the next may start.
    envoy: Envoy,
    canary: Upstream,
    stable: Upstream,
    api: ApiServer,
    notifier: Notifier,
    _alone: MutexGuard<'static, ()>,
}

const MINUTES: (u64, u64, u64) = (300, 60, 1);
const SECONDS: (u64, u64, u64) = (10, 2, 1);

fn rig(configuration: &'static str, windows: (u64, u64, u64)) -> Rig {
    rig_with(configuration, windows, None)
}

fn rig_with(
    configuration: &'static str,
    (length_s, poll_s, tick_s): (u64, u64, u64),
    slice: Option<Value>,
) -> Rig {
    let alone = alone();
    let (canary, stable, api) = (Upstream::start(), Upstream::start(), ApiServer::start());
    let notifier = Notifier::start();
    let envoy = Envoy::start(&Setup {
        configuration,
        workers: 2,
        canary_port: canary.port,
        stable_port: stable.port,
        api_port: api.port,
        notifier_port: notifier.port,
        windows: json!({ "length_s": length_s, "poll_s": poll_s, "tick_s": tick_s }),
        slice,
        ..Setup::default()
    });
    Rig { envoy, canary, stable, api, notifier, _alone: alone }
}

/// The sample of `q` by nearest rank.
fn quantile(samples: &mut [f64], q: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[((q * samples.len() as f64).ceil() as usize).clamp(1, samples.len()) - 1]
}

/// What Envoy measures lies between what the upstream imposed and what the
/// client waited, each within the 1 % of the histogram.
fn between(document: &Value, slice: &str, upstream: &Upstream, waited: &[(bool, f64)]) {
    let mut took = upstream.took_ms.lock().unwrap_or_else(PoisonError::into_inner);
    let of_slice = waited.iter().filter(|w| w.0 == (slice == "canary")).map(|w| w.1);
    let imposed = quantile(&mut took, 0.99);
    let waited = quantile(&mut of_slice.collect::<Vec<_>>(), 0.99);
    let measured = document[slice]["p99_ms"].as_f64().unwrap();
    println!("{slice}: imposed {imposed:.1} ms, measured {measured:.1} ms, waited {waited:.1} ms");
    assert!(measured >= imposed * 0.99, "{slice}: {measured} below {imposed}");
    assert!(measured <= waited * 1.01, "{slice}: {measured} above {waited}");
}

fn counts_and_latencies(configuration: &'static str, latency: &str) {
    let rig = rig(configuration, MINUTES);
    let mut requests = Vec::new();
    for i in 0..400 {
        // 12 of 400 fail on the canary, 3 of 400 on stable; one in 40 is slow.
        let (canary_status, stable_status) =
            (if i % 33 == 1 && i < 396 { 503 } else { 200 }, if i % 150 == 7 { 500 } else { 200 });
        let ms = |slow| if i % 40 == 3 { slow } else { 5 };
        requests.push((true, format!("/{canary_status}/{}", ms(300))));
        requests.push((false, format!("/{stable_status}/{}", ms(200))));
    }
    let waited = rig.envoy.send_all(&requests);
    let d = rig.envoy.wait_for(15, "all counts", |d| {
        d["canary"]["requests"] == 400 && d["stable"]["requests"] == 400
    });
    assert_eq!((&d["canary"]["errors"], &d["stable"]["errors"]), (&json!(12), &json!(3)));
    assert_eq!((&d["canary"]["5xx_ppm"], &d["canary"]["5xx_rate"]), (&json!(30_000), &json!(0.03)));
    for slice in ["canary", "stable"] {
        assert_eq!((&d[slice]["local_errors"], &d[slice]["aborted"]), (&json!(0), &json!(0)));
    }
    assert_eq!(d["observer"]["latency"], latency);
    assert_eq!(d["observer"]["workers"], 2, "both workers measured");
    between(&d, "canary", &rig.canary, &waited);
    between(&d, "stable", &rig.stable, &waited);
}

#[test]
fn access_logger_counts_exactly_and_measures_p99() {
    counts_and_latencies("access-logger.yaml", "total");
}

#[test]
fn http_filter_counts_exactly_and_measures_p99() {
    counts_and_latencies("http-filter.yaml", "headers");
}

/// An edit of the lane's ScaledObject against what the gateway really published.
fn admit(rig: &Rig, old: i64, new: i64) -> harness::policy_host::Verdict {
    let policy = harness::policy_host::PolicyHost::start(
        &modules().policy,
        Clock::at(tests::now()),
        Arc::clone(&rig.api.cluster),
    )
    .unwrap();
    let object = |max: i64| {
        json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
            "metadata": { "name": "openclaw-worker", "namespace": "builds" },
            "spec": { "scaleTargetRef": { "name": "openclaw-worker" }, "maxReplicaCount": max, "minReplicaCount": 1 }
        })
    };
    let request = admission_request(
        "UPDATE",
        ("ScaledObject", "builds", "openclaw-worker"),
        Some(&object(old)),
        &object(new),
    );
    policy.validate(&scenario().policy.settings, &request).unwrap()
}

#[test]
fn a_real_verdict_stops_a_real_raise() {
    let rig = rig("access-logger.yaml", SECONDS);
    let envoy = &rig.envoy;
    // A new gateway knows nothing: active and frozen until `end`.
    let d = envoy.wait_for(15, "the first document", |_| true);
    assert_eq!((&d["canary_active"], &d["scaling"]["frozen"]), (&json!(true), &json!(1)));
    envoy.put_facts();
    assert_eq!(envoy.put("/keda/canary", "ops", &json!({ "action": "end" })).status, 204);
    envoy.wait_for(20, "an idle, healthy lane", |d| d["status"] == "healthy");
    assert!(admit(&rig, 6, 9).accepted, "an idle lane is free");
    for object in &scenario().objects {
        let mut object = object.clone();
        if object["kind"] == "ScaledObject" {
            object["spec"]["maxReplicaCount"] = json!(20);
        }
        rig.api.cluster.lock().unwrap().put(object);
    }

    let begun = envoy.put("/keda/canary", "ops", &json!({ "action": "begin", "weight": 0.1 }));
    assert_eq!(begun.status, 204, "{begun:?}");
    let failing: Vec<_> =
        (0..40).map(|i| (true, format!("/{}/1", if i % 3 == 0 { 500 } else { 200 }))).collect();
    let begun = Instant::now();
    let verdict = loop {
        envoy.send_all(&failing);
        std::thread::sleep(Duration::from_millis(100));
        envoy.put_facts();
        let d = envoy.get("/keda/metrics", "bastion").json();
        if d["degraded"] == true {
            break d;
        }
        assert!(begun.elapsed() < Duration::from_secs(40), "never degraded: {d}");
    };
    assert_eq!(verdict["scaling"]["frozen_by"], json!(["canary_5xx_rate"]));
    // 204 says that the verdict with this command is published.
    assert_eq!(
        envoy
            .put("/keda/canary", "ops", &json!({ "action": "maintenance", "maintenance": false }))
            .status,
        204
    );
    let raise = admit(&rig, 6, 7);
    assert_eq!((raise.accepted, raise.rule()), (false, "cap-frozen"), "{raise:?}");
    println!("{}", raise.message.unwrap());
    assert!(admit(&rig, 6, 5).accepted);
    // KEDA's hold, the lowered maximum, the digest and Envoy's own statistics.
    let d = envoy.wait_for(15, "the hold's number", |d| d["scaling"]["hold_replicas"] == 5);
    assert_eq!(d["scaling"]["original_max_replicas"], 20);
    let digest = || {
        let digests = rig.notifier.digests.lock().unwrap();
        let fails = |d: &&Value| d.to_string().contains("canary_5xx_rate");
        digests.iter().find(fails).cloned()
    };
    let begun = Instant::now();
    while digest().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(20), "no digest: {}", envoy.log());
        std::thread::sleep(Duration::from_millis(200));
    }
    println!("{}", digest().unwrap());
    assert_eq!(digest().unwrap()["frozen"], true);
    assert_eq!(envoy.get("/keda/digest", "bastion").status, 200);
    assert_eq!(envoy.gauge("canary_gate_scaling_frozen"), Some(1));
    assert_eq!(envoy.gauge("canary_gate_digests_dropped"), Some(0));
    let ready = tests::envoy::answer(envoy.agent().get(envoy.url("/keda/ready")).call());
    assert_eq!((ready.status, ready.body.as_str()), (200, "ready\n"));
    let text = envoy.agent().get(envoy.url("/keda/metrics")).header("accept", "text/plain");
    let bearer = format!("Bearer {}", tests::envoy::token("bastion"));
    let text = tests::envoy::answer(text.header("authorization", bearer).call());
    assert!(text.body.contains("\ncanary_gate_scaling_frozen{"), "{text:?}");
    let object = rig.api.cluster.lock().unwrap();
    let so = object.get("ScaledObject", "builds", "openclaw-worker").unwrap();
    assert_eq!(so["spec"]["maxReplicaCount"], 7, "lowered to the cap at begin");
    let kept = object.get("ConfigMap", "builds", "canary-gate.gw-a1").unwrap();
    assert_eq!(kept["metadata"]["labels"]["canary-gate.dev/lane"], "openclaw-build-lane");
    assert!(kept["data"]["merged"].as_str().unwrap().contains("\"degraded\": true"));
}

#[test]
fn tokens_methods_and_other_paths() {
    let rig = rig("access-logger.yaml", MINUTES);
    let envoy = &rig.envoy;
    envoy.wait_for(15, "a document", |_| true);
    let bare = tests::envoy::answer(envoy.agent().get(envoy.url("/keda/metrics")).call());
    assert_eq!(bare.status, 401);
    assert_eq!(envoy.get("/keda/metrics", "facts").status, 403);
    assert_eq!(envoy.get("/keda/metrics", "keda").status, 200);
    assert_eq!(envoy.get("/keda/facts", "facts").status, 405);
    assert_eq!(envoy.get("/elsewhere", "keda").status, 404, "passes through to the routes");
    // Over HTTP/2, where a body may be followed by trailers.
    let by_http2 = tests::http2::send(
        envoy.management,
        "PUT",
        "gw.example.com",
        "/keda/facts",
        tests::envoy::token("facts"),
        &tests::well().to_string(),
    );
    assert_eq!(by_http2, 204);
    let wrong = envoy.put("/keda/facts", "facts", &json!({ "at": "soon" }));
    assert_eq!((wrong.status, wrong.body.contains("at: `soon`")), (400, true), "{wrong:?}");
    assert_eq!(
        envoy.put("/keda/canary", "ops", &json!({ "action": "weight", "weight": 7 })).status,
        400
    );
}

/// Bytes that no string may hold, on both listeners, straight through a socket.
#[test]
fn header_bytes_take_nothing_down() {
    let rig = rig_with("http-filter.yaml", MINUTES, Some(json!({ "header": "x-openclaw-slice" })));
    let envoy = &rig.envoy;
    envoy.wait_for(15, "a document", |_| true);
    for (port, path) in [(envoy.management, "/keda/metrics"), (envoy.vip, "/200/1")] {
        for name in ["authorization", "x-openclaw-slice"] {
            let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let mut request = format!("GET {path} HTTP/1.1\r\nhost: canary.gw.example.com\r\nconnection: close\r\n{name}: Bearer ").into_bytes();
            request.extend(0x80..=0xff);
            request.extend(b"\r\n\r\n");
            socket.write_all(&request).unwrap();
            let mut answer = Vec::new();
            socket.read_to_end(&mut answer).unwrap();
            let answer = String::from_utf8_lossy(&answer);
            let expected = if port == envoy.vip { "HTTP/1.1 200" } else { "HTTP/1.1 401" };
            assert!(answer.starts_with(expected), "{answer}");
        }
    }
    // Neither named a slice: one sent bytes that are none, one nothing.
    let d = envoy.wait_for(10, "both requests", |d| d["stable"]["requests"] == 2);
    assert_eq!(d["observer"]["unclassified"], 2);
    assert!(!envoy.trapped_in(""), "{}", envoy.log());
}

/// The management listener as it is shipped: TLS, and nothing without it.
#[test]
fn the_management_listener_speaks_tls_alone() {
    let _alone = alone();
    let folder = tests::servers::folder("management-tls");
    let files = harness::serve::certificates::load_or_make(&folder).unwrap();
    let envoy = Envoy::start(&Setup {
        canary_port: Upstream::start().port,
        stable_port: Upstream::start().port,
        api_port: ApiServer::start().port,
        notifier_port: Notifier::start().port,
        management_tls: Some([files.certificate, files.key]),
        ..Setup::default()
    });
    let url = format!("https://localhost:{}", envoy.management);
    let token = folder.join("token");
    std::fs::write(&token, tests::envoy::token("bastion")).unwrap();
    let probe = |ca: bool, url: &str| {
        let program = std::env::current_exe().unwrap();
        let harness = program.ancestors().nth(2).unwrap().join("harness");
        let mut command = std::process::Command::new(harness);
        command.arg("probe").arg("--token-file").arg(&token);
        if ca {
            command.arg("--ca").arg(folder.join("ca.pem"));
        }
        let output = command.arg(url).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    // A new gateway is not healthy, and says so; else there is no answer at all.
    let begun = Instant::now();
    let (mut code, mut text) = probe(true, &url);
    while code == Some(2) && begun.elapsed() < Duration::from_secs(20) {
        (code, text) = probe(true, &url);
    }
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("gw-a1"), "{text}");
    assert_eq!(probe(false, &url).0, Some(2), "a root that nobody knows");
    assert_eq!(envoy.get("/keda/metrics", "bastion").status, 0, "no plain HTTP");
    // As Prometheus scrapes the gauges: without a prefix, and without a label `lane`.
    let scraped = envoy.agent().get(format!("http://127.0.0.1:{}/stats/prometheus", envoy.admin));
    let scraped = tests::envoy::answer(scraped.call()).body;
    let line = scraped.lines().find(|l| l.starts_with("canary_gate_observed_at_seconds"));
    assert!(line.is_some_and(|l| !l.contains("lane=")), "{line:?}");
}

/// By the management listener, without a token; and nothing else of the admin port.
#[test]
fn prometheus_finds_the_statistics_and_no_more() {
    for configuration in ["access-logger.yaml", "http-filter.yaml"] {
        let rig = rig(configuration, SECONDS);
        let get = |path: &str| {
            let url = format!("http://127.0.0.1:{}{path}", rig.envoy.management);
            tests::envoy::answer(rig.envoy.agent().get(url).call())
        };
        rig.envoy.wait_for(20, "a document", |_| true);
        let scraped = get("/stats/prometheus?filter=canary_gate");
        assert_eq!(scraped.status, 200);
        assert!(scraped.body.contains("canary_gate_observed_at_seconds"), "{}", scraped.body);
        for other in ["/", "/stats", "/config_dump", "/stats/prometheus/../../quitquitquit"] {
            assert_eq!(get(other).status, 404, "{other}");
        }
    }
}

/// As Envoy's own routes do: a host in any case is the same host.
#[test]
fn a_host_in_any_case_is_its_slice() {
    for configuration in ["access-logger.yaml", "http-filter.yaml"] {
        let rig = rig(configuration, SECONDS);
        for host in ["canary.gw.example.com", "Canary.GW.Example.com", "CANARY.GW.EXAMPLE.COM"] {
            let url = format!("http://127.0.0.1:{}/200/1", rig.envoy.vip);
            let sent = rig.envoy.agent().get(url).header("host", host).call();
            assert_eq!(tests::envoy::answer(sent).status, 200);
        }
        rig.envoy.wait_for(20, "three of the canary", |d| d["canary"]["requests"] == 3);
    }
}
