//! Any split of traffic over workers, ticks, pushes and clock jumps gives what
//! one perfect observer saw, within the stated bound: a request counts
//! in the bucket that ran at a tick of its worker next to it.

use gate::slice::Slice;
use gate::snapshot::Slot;
use gate::threshold::KEPT_BUCKETS;
use gate::window::{Periods, Window};
use harness::clock::Clock;
use harness::proxy_host::http::{Request, Response};
use harness::proxy_host::{Plugin, Proxy};
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use tests::simulation::*;

const PERIODS: Periods = Periods { length_s: 50, poll_s: 10, tick_s: 5 };
/// Seconds between a request and the ticks next to it.
const BOUND_S: usize = 6;

#[derive(Clone, Debug)]
enum Event {
    /// Requests through one worker: how many, of the canary, failing.
    Send(usize, u8, bool, bool),
    Wait(u8),
    /// So many seconds without a tick.
    Stall(u8),
    Push,
    /// The wall clock is set, by so many seconds.
    Jump(i16),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0usize..4, 1u8..20, any::<bool>(), any::<bool>()).prop_map(|(w, n, c, e)| Event::Send(w, n, c, e)),
        4 => (1u8..15).prop_map(Event::Wait),
        1 => (1u8..40).prop_map(Event::Stall),
        1 => Just(Event::Push),
        1 => (-90i16..90).prop_map(Event::Jump),
    ]
}

struct Sent {
    second: usize,
    slice: Slice,
    error: bool,
    us: u64,
}

fn start(clock: &Clock, workers: usize) -> Proxy {
    let plugins = ["canary", "stable"].map(|slice| Plugin {
        name: format!("probe-{slice}"),
        vm_id: "canary-gate".into(),
        vm_configuration: "probe".into(),
        configuration: json!({
            "role": "probe", "slice": { "fixed": slice }, "windows": PERIODS,
            "gateway": { "id": "gw-a1", "az": "a" }, "lane": { "name": "l", "namespace": "n", "stable_replicas": 1 }
        }),
    });
    Proxy::start(&modules().filter, clock.clone(), workers, plugins.into(), &[]).unwrap()
}

/// Every worker's slot, merged as the endpoint does.
fn merged(proxy: &Proxy) -> Window {
    let mut window = Window::default();
    for n in 0..64 {
        let Some(bytes) = proxy.shared(&format!("cg1/slot/{n:02}")) else { break };
        window.merge(&Slot::decode(&bytes).unwrap().window);
    }
    window
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn what_workers_count_is_what_one_observer_saw(
        workers in 1usize..5,
        events in prop::collection::vec(event(), 1..60),
    ) {
        let clock = Clock::at(scenario().start);
        let mut proxy = start(&clock, workers);
        let mut sent: Vec<Sent> = vec![];
        // The bucket that ran in each second of monotonic time, and the seconds with a tick.
        let mut ran = vec![PERIODS.bucket_at(clock.now())];
        let ticked = std::cell::RefCell::new(vec![0]);
        let pass = |proxy: &mut Proxy, ran: &mut Vec<u64>, seconds: u8| {
            for _ in 0..seconds {
                clock.advance(Duration::from_secs(1));
                ran.push(PERIODS.bucket_at(clock.now()));
                proxy.tick();
                ticked.borrow_mut().push(ran.len() - 1);
            }
        };
        for event in &events {
            match *event {
                Event::Send(worker, n, canary, error) => {
                    for i in 0..u64::from(n) {
                        let us = 1_000 + i * 7_919 % 50_000;
                        let slice = if canary { Slice::Canary } else { Slice::Stable };
                        let response = Response::upstream(if error { 500 } else { 200 }, us);
                        proxy.log(worker % workers, slice as usize, &Request::new("GET", "/"), Some(&response)).unwrap();
                        sent.push(Sent { second: ran.len() - 1, slice, error, us });
                    }
                }
                Event::Wait(seconds) => pass(&mut proxy, &mut ran, seconds),
                Event::Stall(seconds) => {
                    for _ in 0..seconds {
                        clock.advance(Duration::from_secs(1));
                        ran.push(PERIODS.bucket_at(clock.now()));
                    }
                }
                Event::Push => {
                    proxy.begin_push(|c| c["gateway"]["version"] = "2".into()).unwrap();
                    proxy.end_push().unwrap();
                }
                Event::Jump(by) => {
                    clock.jump(by.into());
                    // Within the second that runs.
                    ran.push(PERIODS.bucket_at(clock.now()));
                }
            }
        }
        pass(&mut proxy, &mut ran, 10);
        // Older than any horizon is forgotten.
        let span = ran.iter().max().zip(ran.iter().min()).map_or(0, |(last, first)| last - first);
        prop_assume!(span < KEPT_BUCKETS);
        let window = merged(&proxy);
        let may_be_in = |s: &Sent| -> BTreeSet<u64> {
            let jumps = events.iter().filter(|e| matches!(e, Event::Jump(_))).count();
            let ticked = ticked.borrow();
            // A plugin ticks five seconds after it last did, if the host runs
            // then; a push begins its five seconds anew, and ticks where one is due.
            let due = s.second + 2 * PERIODS.tick_s as usize + jumps;
            let next = ticked.iter().copied().find(|t| *t >= due).unwrap_or(ran.len() - 1);
            let last = ticked.iter().copied().rfind(|t| *t <= s.second).unwrap_or(0);
            let (from, to) = (last.saturating_sub(BOUND_S + jumps), next + BOUND_S + jumps);
            ran[from..=to.min(ran.len() - 1)].iter().copied().collect()
        };
        for &slice in Slice::ALL {
            let mine: Vec<(&Sent, BTreeSet<u64>)> =
                sent.iter().filter(|s| s.slice == slice).map(|s| (s, may_be_in(s))).collect();
            let all = window.sum(slice, 0, u64::MAX);
            prop_assert_eq!(all.requests, mine.len() as u64, "nothing lost, nothing twice");
            prop_assert_eq!(all.errors, mine.iter().filter(|(s, _)| s.error).count() as u64);
            let mut exact = gate::histogram::Histogram::default();
            mine.iter().for_each(|(s, _)| exact.record(s.us));
            prop_assert_eq!(all.latencies, exact);
            for bucket in ran.iter().copied().collect::<BTreeSet<u64>>() {
                let (got, _) = window.requests_and_errors(slice, bucket, bucket + 1);
                let may = mine.iter().filter(|(_, b)| b.contains(&bucket)).count() as u64;
                let must = mine.iter().filter(|(_, b)| b.len() == 1 && b.contains(&bucket)).count() as u64;
                prop_assert!((must..=may).contains(&got), "bucket {bucket}: {got}, expected {must} to {may}");
            }
        }
    }
}
