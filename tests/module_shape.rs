//! What the filter asks of a host and offers to it: a change shows in a diff.

use tests::root;
use tests::simulation::modules;

#[test]
fn imports_and_exports_of_the_filter() {
    let module = &modules().filter.module;
    let mut lines: Vec<String> = module
        .imports()
        .map(|i| format!("import {}.{}", i.module(), i.name()))
        .chain(module.exports().map(|e| format!("export {}", e.name())))
        .collect();
    lines.sort();
    let text = format!("{}\n", lines.join("\n"));
    let path = root("tests/fixtures/proxy-filter.shape.txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(kept, text, "if this is meant: BLESS=1");
}
