//! A real Envoy beside real queues, and the gateway's scripts against it.

use serde_json::{json, Value};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tests::envoy::{alone, token, Envoy, Setup};
use tests::root;
use tests::servers::{folder, free_port, ApiServer, Notifier, Server, Upstream};

fn envoy(queue: Option<(Value, u16)>) -> Envoy {
    Envoy::start(&Setup {
        canary_port: Upstream::start().port,
        stable_port: Upstream::start().port,
        api_port: ApiServer::start().port,
        notifier_port: Notifier::start().port,
        queue,
        ..Setup::default()
    })
}

fn pending(envoy: &Envoy, expected: u64) {
    envoy.wait_for(20, "the queue depth", |d| d["scaling"]["pending_jobs"] == expected);
}

/// Sends one request over the NATS protocol and waits for its reply.
fn nats(stream: &mut TcpStream, subject: &str, body: &str) -> String {
    write!(stream, "PUB {subject} _INBOX.test {}\r\n{body}\r\n", body.len()).unwrap();
    let mut text = String::new();
    while !text.contains("MSG ") || !text.ends_with("\r\n") {
        let mut part = [0; 4096];
        let n = stream.read(&mut part).unwrap();
        assert!(n > 0, "NATS hung up: {text}");
        text.push_str(&String::from_utf8_lossy(&part[..n]));
    }
    assert!(!text.contains("\"error\""), "{text}");
    text
}

#[test]
fn the_depth_of_a_real_nats_consumer() {
    let _alone = alone();
    let (port, monitor) = (free_port(), free_port());
    let store = folder("nats");
    let (port_text, monitor_text) = (port.to_string(), monitor.to_string());
    let args = [
        "-a",
        "127.0.0.1",
        "-p",
        &port_text,
        "-m",
        &monitor_text,
        "-js",
        "-sd",
        store.to_str().unwrap(),
    ];
    let _server = Server::start("nats-server", &args, monitor);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "CONNECT {{\"verbose\":false}}\r\nSUB _INBOX.test 1\r\n").unwrap();
    nats(
        &mut stream,
        "$JS.API.STREAM.CREATE.builds",
        r#"{"name":"builds","subjects":["builds.*"],"storage":"memory","retention":"limits"}"#,
    );
    nats(
        &mut stream,
        "$JS.API.CONSUMER.DURABLE.CREATE.builds.workers",
        r#"{"stream_name":"builds","config":{"durable_name":"workers","ack_policy":"explicit","deliver_policy":"all"}}"#,
    );
    for _ in 0..13 {
        nats(&mut stream, "builds.job", "x");
    }
    // One is delivered and not acknowledged: it still waits to be done.
    nats(&mut stream, "$JS.API.CONSUMER.MSG.NEXT.builds.workers", "1");
    let queue =
        json!({ "source": "nats", "cluster": "queue", "stream": "builds", "consumer": "workers" });
    pending(&envoy(Some((queue, monitor))), 13);
}

#[test]
fn a_query_of_a_real_prometheus() {
    let _alone = alone();
    let port = free_port();
    let store = folder("prometheus");
    fs::write(store.join("prometheus.yml"), "global: {}\n").unwrap();
    let (config, data) = (store.join("prometheus.yml"), store.join("data"));
    let args = [
        format!("--config.file={}", config.display()),
        format!("--storage.tsdb.path={}", data.display()),
        format!("--web.listen-address=127.0.0.1:{port}"),
    ];
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let _server = Server::start("prometheus", &args, port);
    let queue =
        json!({ "source": "prometheus", "cluster": "queue", "query": "vector(6.5) + vector(2)" });
    let envoy = envoy(Some((queue, port)));
    pending(&envoy, 9);
    // What the filter says of itself is text that Prometheus takes.
    let request = envoy.agent().get(envoy.url("/keda/metrics")).header("accept", "text/plain");
    let bearer = format!("Bearer {}", token("bastion"));
    let text = tests::envoy::answer(request.header("authorization", bearer).call()).body;
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let said = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
    assert!(said.is_empty(), "{said}");
}

/// A script of `deploy/gateway`, as launchd or an operator calls it.
fn script(name: &str, args: &[&str], env: &[(&str, &str)]) -> (i32, String) {
    let Output { status, stdout, stderr } = Command::new("sh")
        .arg(root("deploy/gateway").join(name))
        .args(args)
        .envs(env.iter().copied())
        .output()
        .unwrap();
    (status.code().unwrap(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

#[test]
fn the_launchd_script_puts_facts_with_the_depth_of_a_real_redis_list() {
    let _alone = alone();
    let port = free_port();
    let port_text = port.to_string();
    let folder = folder("redis");
    let args = [
        "--port",
        &port_text,
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--dir",
        folder.to_str().unwrap(),
    ];
    let _server = Server::start("redis-server", &args, port);
    let push = ["-p", &port_text, "RPUSH", "build-jobs", "1", "2", "3", "4", "5"];
    assert!(Command::new("redis-cli").args(push).output().unwrap().status.success());
    let envoy = envoy(None);
    envoy.wait_for(15, "a document", |_| true);
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (secret, hash) = (file("token", token("facts")), file("HASH", "c4e1 2026-11-24\n"));
    let url = envoy.url("");
    let mut env = vec![
        ("CANARY_GATE_URL", url.as_str()),
        ("CANARY_GATE_TOKEN_FILE", &secret),
        ("CANARY_GATE_DOCTOR", "true"),
        ("CANARY_GATE_SKILL_HASH_FILE", &hash),
        ("CANARY_GATE_REDIS_LIST", "build-jobs"),
        ("CANARY_GATE_REDIS_PORT", &port_text),
        ("CANARY_GATE_DISK_TIER", "2TB"),
    ];
    assert_eq!(script("facts.sh", &[], &env), (0, String::new()));
    pending(&envoy, 5);
    let d = envoy.get("/keda/metrics", "bastion").json();
    let g = &d["gateway"];
    assert_eq!(
        (&g["skill_hash"], &g["doctor_ok"], &g["disk_tier"]),
        (&json!("c4e1"), &json!(true), &json!("2TB"))
    );
    assert!((0.0..=100.0).contains(&g["disk_used_pct"].as_f64().unwrap()), "{g}");
    // A doctor that finds something with quotes in its name, and a queue that is gone.
    env[2].1 = "printf 'ssh \"keys\"\\nxcode\\n'; exit 3";
    env[5].1 = "1";
    let (code, said) = script("facts.sh", &[], &env);
    assert!(code == 0 && said.contains("the queue depth is left out"), "{code} {said}");
    let d = envoy.wait_for(15, "the doctor's word", |d| d["gateway"]["doctor_ok"] == false);
    assert_eq!(d["scaling"]["pending_jobs"], json!(null), "unknown, not 0");
    let doctor = d["signals"].as_array().unwrap().iter().find(|s| s["name"] == "doctor").unwrap();
    assert!(doctor["reason"].as_str().unwrap().contains("ssh \"keys\""), "{doctor}");
    let wrong = file("wrong", "not-the-token");
    env[1].1 = &wrong;
    let (code, said) = script("facts.sh", &[], &env);
    assert!(code == 1 && said.contains("401"), "{code} {said}");
    assert!(!said.contains("not-the-token"), "{said}");
    assert_ne!(script("facts.sh", &[], &[]).0, 0, "nothing is configured");
}

#[test]
fn a_promotion_waits_for_the_canary() {
    let _alone = alone();
    let envoy = envoy(None);
    envoy.wait_for(15, "a document", |_| true);
    let folder = folder("promote");
    let (from, to) = (folder.join("from"), folder.join("to"));
    fs::create_dir_all(&from).unwrap();
    fs::create_dir_all(&to).unwrap();
    fs::write(from.join("pack"), "c4e1").unwrap();
    fs::write(folder.join("token"), token("bastion")).unwrap();
    let (secret, lock) = (folder.join("token"), folder.join("lock"));
    let url = envoy.url("");
    let env = [
        ("CANARY_GATE_URL", url.as_str()),
        ("CANARY_GATE_TOKEN_FILE", secret.to_str().unwrap()),
        ("CANARY_GATE_LOCK", lock.to_str().unwrap()),
    ];
    let args = ["-a", "--delete", &format!("{}/", from.display()), &format!("{}/", to.display())];
    let promoted = || to.join("pack").exists();
    let (code, said) = script("promote.sh", &args, &env);
    assert!(code == 75 && said.contains("a canary is active, or whether one is"), "{code} {said}");
    assert!(!promoted() && !lock.exists());
    assert_eq!(script("promote.sh", &["--dry-run", "-a", args[2], args[3]], &env).0, 0);
    assert!(!promoted());
    envoy.put_facts();
    assert_eq!(envoy.put("/keda/canary", "ops", &json!({ "action": "end" })).status, 204);
    envoy.wait_for(15, "an idle lane", |d| d["promotion_frozen"] == false);
    fs::create_dir(&lock).unwrap();
    let (code, said) = script("promote.sh", &args, &env);
    assert!(code == 75 && said.contains("another promotion runs"), "{code} {said}");
    assert!(lock.exists(), "somebody else's");
    fs::remove_dir(&lock).unwrap();
    let (code, said) = script("promote.sh", &args, &env);
    assert_eq!((code, promoted(), lock.exists()), (0, true, false), "{said}");
    let nowhere = [("CANARY_GATE_URL", "http://127.0.0.1:1"), env[1], env[2]];
    let (code, said) = script("promote.sh", &args, &nowhere);
    assert!(code == 75 && said.contains("no answer"), "{code} {said}");
}
