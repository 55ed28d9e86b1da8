//! Configuration pushes to a real Envoy: the VMs stay, nothing counted is
//! lost, memory is flat. `make soak` pushes a thousand times.

use serde_json::{json, Value};
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};
use tests::envoy::{alone, plugins, Envoy, Setup};
use tests::root;
use tests::servers::{ApiServer, Notifier, Upstream};

fn listeners() -> PathBuf {
    root("target/envoy/listeners.json")
}

/// The listeners move to a file that Envoy watches.
fn from_a_file(config: &mut Value) {
    let moved = config["static_resources"]["listeners"].take();
    push(&moved);
    config["static_resources"].as_object_mut().unwrap().remove("listeners");
    let source = json!({ "path_config_source": { "path": listeners().display().to_string() } });
    config["dynamic_resources"] = json!({ "lds_config": source });
}

/// Puts listeners where Envoy sees them, by a rename.
fn push(listeners_now: &Value) {
    let resources: Vec<Value> = listeners_now
        .as_array()
        .unwrap()
        .iter()
        .map(|l| {
            let mut l = l.clone();
            l["@type"] = "type.googleapis.com/envoy.config.listener.v3.Listener".into();
            l
        })
        .collect();
    fs::create_dir_all(listeners().parent().unwrap()).unwrap();
    let next = listeners().with_extension("next");
    fs::write(&next, json!({ "resources": resources }).to_string()).unwrap();
    fs::rename(next, listeners()).unwrap();
}

fn pushed() -> Value {
    let text = fs::read_to_string(listeners()).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["resources"].take()
}

#[test]
fn a_push_loses_nothing_and_takes_no_memory() {
    let _alone = alone();
    let pushes: u64 = std::env::var("SOAK_PUSHES").ok().and_then(|n| n.parse().ok()).unwrap_or(40);
    let (canary, stable) = (Upstream::start(), Upstream::start());
    let envoy = Envoy::start(&Setup {
        canary_port: canary.port,
        stable_port: stable.port,
        api_port: ApiServer::start().port,
        notifier_port: Notifier::start().port,
        windows: json!({ "length_s": 3600, "poll_s": 60, "tick_s": 1 }),
        change: from_a_file,
        ..Setup::default()
    });
    envoy.wait_for(15, "a document", |_| true);
    let successes = || envoy.gauge("listener_manager.lds.update_success").unwrap_or(0);
    let mut resident = vec![];
    let mut sent = 0;
    for n in 1..=pushes {
        let mut changed = pushed();
        plugins(&mut changed, &mut |plugin| {
            let text = plugin["configuration"]["value"].as_str().unwrap();
            let mut inner: Value = serde_json::from_str(text).unwrap();
            inner["gateway"]["version"] = format!("push-{n}").into();
            plugin["configuration"]["value"] = inner.to_string().into();
        });
        let before = successes();
        push(&changed);
        let begun = Instant::now();
        while successes() == before {
            assert!(begun.elapsed() < Duration::from_secs(20), "push {n}: {}", envoy.log());
            thread::sleep(Duration::from_millis(10));
        }
        // A listener that is being replaced refuses nobody.
        sent += u64::from(envoy.send_anew(true, "/200/0") == 200);
        if n % (pushes / 5) == 0 {
            // Old listeners drain for two seconds.
            thread::sleep(Duration::from_secs(4));
            resident.push(envoy.resident_kib());
            println!("{n} pushes: {} KiB resident", resident.last().unwrap());
        }
    }
    assert_eq!(sent, pushes, "every request was answered");
    let version = format!("push-{pushes}");
    let d = envoy.wait_for(20, "all counts under the last configuration", |d| {
        d["canary"]["requests"] == sent && d["gateway"]["gateway_version"] == version.as_str()
    });
    assert_eq!(d["observer"]["restarts"], 0, "{}", d["observer"]);
    let (first, last) = (resident[0], resident[4]);
    assert!(last <= first + 8 * 1024, "memory grew: {resident:?} KiB");
}
