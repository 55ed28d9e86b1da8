//! A host that went wrong: unknown and deleted contexts, tokens of no call,
//! every status on every function. Nothing it does traps the module, and once
//! it behaves again everything works.

use harness::clock::Clock;
use harness::proxy_host::http::{Request, Response};
use harness::proxy_host::{Plugin, Proxy};
use harness::scenario::setup::plugins;
use proptest::prelude::*;
use serde_json::{json, Value};
use std::time::Duration;
use tests::simulation::*;

/// Callbacks that the module offers; memory it hands out when it is asked to.
fn exports() -> Vec<String> {
    let names = modules().filter.module.exports().map(|e| e.name().to_owned());
    names.filter(|n| n.starts_with("proxy_on_") && n != "proxy_on_memory_allocate").collect()
}

/// Functions of the host that the module calls.
fn imports() -> Vec<String> {
    let module = &modules().filter.module;
    let names = module.imports().filter(|i| i.module() == "env").map(|i| i.name().to_owned());
    names.collect()
}

/// What the host does next.
#[derive(Clone, Debug)]
enum Step {
    /// Calls an export with whatever arguments.
    Enter(usize, [u32; 4]),
    /// A function answers with this status from now on.
    Refuse(usize, u32),
    Behave,
    Request(bool),
    Log(u16),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    // Numbers that exist (the first contexts and tokens), are near, or are absurd.
    let number = prop_oneof![0u32..12, Just(0xffff), Just(u32::MAX), any::<u32>()];
    prop_oneof![
        4 => (0..exports().len(), [number.clone(), number.clone(), number.clone(), number]).prop_map(|(e, a)| Step::Enter(e, a)),
        2 => (0..imports().len(), 1u32..14).prop_map(|(f, status)| Step::Refuse(f, status)),
        1 => Just(Step::Behave),
        1 => any::<bool>().prop_map(Step::Request),
        1 => prop_oneof![Just(200), Just(503), Just(0)].prop_map(Step::Log),
        2 => prop_oneof![Just(1), Just(5), Just(70)].prop_map(Step::Wait),
    ]
}

fn configuration() -> Value {
    let plugins = plugins(&scenario());
    let endpoint = plugins.iter().find(|p| p.configuration["role"] == "endpoint");
    let mut configuration = endpoint.unwrap().configuration.clone();
    configuration["role"] = "both".into();
    configuration["slice"] = json!({ "header": "x-openclaw-slice", "grpc": true });
    configuration
}

fn start(clock: &Clock, configuration: &Value) -> Proxy {
    let plugin = Plugin {
        name: "both".into(),
        vm_id: "canary-gate".into(),
        vm_configuration: "both".into(),
        configuration: configuration.clone(),
    };
    Proxy::start(&modules().filter, clock.clone(), 1, vec![plugin], &["kube-apiserver", "notifier"])
        .unwrap()
}

fn run(proxy: &mut Proxy, clock: &Clock, steps: &[Step]) -> Result<(), TestCaseError> {
    let (imports, exports) = (imports(), exports());
    let mut refusals: Vec<(String, u32)> = vec![];
    for step in steps {
        let done = match step {
            Step::Enter(export, arguments) => proxy.enter(0, 0, &exports[*export], arguments),
            Step::Refuse(function, status) => {
                refusals.push((imports[*function].clone(), *status));
                proxy.refuse(&refusals);
                Ok(())
            }
            Step::Behave => {
                refusals.clear();
                proxy.refuse(&[]);
                Ok(())
            }
            Step::Request(ours) => {
                let path = if *ours { "/keda/canary" } else { "/v1/build" };
                let request = put(path, "ops", &json!({ "action": "end" }));
                proxy.request(0, 0, &request, Some(&Response::upstream(200, 1_000))).map(|_| ())
            }
            Step::Log(status) => {
                let response = Response::upstream(*status, 1_000);
                proxy.log(0, 0, &Request::new("GET", "/"), (*status > 0).then_some(&response))
            }
            Step::Wait(seconds) => {
                clock.advance(Duration::from_secs(*seconds));
                proxy.tick();
                let calls = proxy.take_calls();
                calls.iter().try_for_each(|call| proxy.reply(call, None))
            }
        };
        prop_assert!(done.is_ok(), "{step:?}: {:?}", done.err());
        prop_assert!(proxy.traps().is_empty(), "{step:?}: {:?}", proxy.traps());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn nothing_a_host_does_traps_the_module(steps in prop::collection::vec(step(), 1..40)) {
        let clock = Clock::at(scenario().start);
        let mut proxy = start(&clock, &configuration());
        run(&mut proxy, &clock, &steps)?;
    }
}

/// Every status of every function, one at a time, through a whole life.
#[test]
fn every_status_of_every_function() {
    let configuration = configuration();
    let configure = exports().iter().position(|e| e == "proxy_on_configure").unwrap();
    for function in 0..imports().len() {
        for status in 1..=13 {
            let clock = Clock::at(scenario().start);
            let mut proxy = start(&clock, &configuration);
            let life = [
                Step::Refuse(function, status),
                Step::Enter(configure, [1, 4096, 0, 0]),
                Step::Request(true),
                Step::Request(false),
                Step::Log(503),
                Step::Wait(5),
                Step::Wait(70),
                Step::Behave,
                Step::Enter(configure, [1, 65_536, 0, 0]),
                Step::Wait(70),
                Step::Request(false),
                Step::Wait(5),
            ];
            run(&mut proxy, &clock, &life).unwrap();
            let answer = proxy.request(0, 0, &get("/keda/metrics", "bastion"), None).unwrap();
            let answer = format!("{answer:?}");
            assert!(
                answer.contains("status: 200"),
                "{} with {status}: {answer}",
                imports()[function]
            );
        }
    }
}
