//! Every scenario through both built modules.

use harness::scenario::format::Scenario;
use harness::scenario::run::run;
use tests::{root, simulation::modules};

#[test]
fn every_scenario_runs_as_expected() {
    // Steps name files of the project.
    std::env::set_current_dir(root("")).unwrap();
    let mut count = 0;
    for entry in std::fs::read_dir(root("scenarios")).unwrap() {
        let path = entry.unwrap().path();
        let report = run(modules(), &Scenario::load(&path).unwrap()).unwrap();
        assert!(report.passed(), "{}\n{}", path.display(), report.table());
        count += 1;
    }
    assert!(count > 0);
}
