//! What keeps a rule findable within ten seconds: names, files, docs and test
//! folders in step, host calls only where the tree says.

use gate::rule::Rule;
use gate::signals::Signal;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use tests::root;

fn names(folder: &str, extension: &str) -> BTreeSet<String> {
    fs::read_dir(root(folder))
        .unwrap_or_else(|e| panic!("{folder}: {e}"))
        .map(|e| e.unwrap().path())
        .filter(|p| {
            p.extension().is_some_and(|e| e == extension) || (extension.is_empty() && p.is_dir())
        })
        .map(|p| p.file_stem().unwrap().to_string_lossy().into_owned())
        .filter(|n| n != "mod")
        .collect()
}

fn headings(file: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
    text.lines()
        .filter_map(|l| l.strip_prefix("## "))
        .map(|l| l.trim().trim_matches('`').to_owned())
        .collect()
}

#[test]
fn rules_files_docs_and_cases_are_in_step() {
    let rules: BTreeSet<String> = Rule::ALL.iter().map(|r| r.name().to_owned()).collect();
    let files: BTreeSet<String> =
        names("policy/src/rules", "rs").iter().map(|n| n.replace('_', "-")).collect();
    assert_eq!(rules, files, "policy/src/rules/");
    assert_eq!(rules, names("tests/admission", ""), "tests/admission/");
    assert!(headings("docs/rules.md").is_superset(&rules), "docs/rules.md");
}

#[test]
fn signals_files_and_docs_are_in_step() {
    let signals: BTreeSet<String> = Signal::ALL.iter().map(|s| s.name().to_owned()).collect();
    assert_eq!(signals, names("gate/src/signals", "rs"), "gate/src/signals/");
    assert!(headings("docs/signals.md").is_superset(&signals), "docs/signals.md");
}

fn sources(folder: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                files.push(path);
            }
        }
    }
    files
}

fn only_in(folder: &str, words: &[&str], allowed: &[&str]) {
    for path in sources(folder) {
        let name = path.strip_prefix(root(folder)).unwrap().display().to_string();
        let text = fs::read_to_string(&path).unwrap();
        for word in words {
            let uses = text.lines().any(|l| !l.trim_start().starts_with("//") && l.contains(word));
            assert!(
                !uses || allowed.contains(&name.as_str()),
                "{folder}/{name} uses `{word}`, allowed only in {allowed:?}"
            );
        }
    }
}

#[test]
fn host_calls_stand_only_where_the_tree_says() {
    only_in("proxy-filter/src", &["extern \"C\" {"], &["host.rs", "abi.rs"]);
    only_in("proxy-filter/src", &["extern \"C\" fn"], &["abi.rs", "instrumented.rs"]);
    only_in("policy/src", &["host_call"], &["cluster.rs"]);
    only_in("policy/src", &["SystemTime"], &["kubewarden.rs"]);
    let hosted = ["kubewarden.rs", "cluster.rs", "response.rs"];
    only_in("policy/src", &["kubewarden_policy_sdk"], &hosted);
    only_in("gate/src", &["SystemTime", "Instant", "std::fs", "std::env", "std::net"], &[]);
}

/// Modules of a crate in the order in which its `lib.rs` (or `mod.rs`) has them.
fn modules_of(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let names = text.lines().filter_map(|l| {
        let l = l.strip_prefix("pub ").unwrap_or(l);
        l.strip_prefix("mod ")?.strip_suffix(';').map(str::to_owned)
    });
    names.collect()
}

/// What a file uses of its crate: the first part of each path, in all forms of `use` and
/// where it stands in the code. Its tests may use what they like.
fn used(text: &str) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]").next().unwrap();
    let lines = code.lines().filter(|l| !l.trim_start().starts_with("//"));
    let code: String = lines.flat_map(|l| [l, "\n"]).collect();
    let word = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let mut used = BTreeSet::new();
    for (at, found) in code.match_indices("crate::") {
        // `$crate::` of a macro is another crate's as often as not.
        if code[..at].ends_with('$') {
            continue;
        }
        let rest = &code[at + found.len()..];
        if let Some(list) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut item = String::new();
            for c in list.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        used.insert(word(&item));
                        item.clear();
                        continue;
                    }
                    _ => {}
                }
                item.push(c);
            }
            used.insert(word(&item));
        } else {
            used.insert(word(rest));
        }
    }
    used
}

#[test]
fn uses_are_found_in_all_their_forms() {
    let text = "use crate::a;\nuse crate::{b, c::{D, E}, self_};\nuse crate::{\n    f::G,\n};\n\
                // crate::not\nlet x = crate::h::i(); $crate::j";
    let expected = ["a", "b", "c", "f", "h", "self_", ""].map(str::to_owned);
    assert_eq!(used(text), BTreeSet::from(expected));
}

/// In each `lib.rs` modules stand in the order in which data passes through them, and a file
/// uses only modules above its own. So no circle can be written.
#[test]
fn modules_use_only_modules_above_them() {
    // A latency's kind is a type that travels both ways.
    let excepted = ["gate: snapshot -> document"];
    for crate_ in ["gate", "policy"] {
        let order = modules_of(&root(&format!("{crate_}/src/lib.rs")));
        assert!(order.len() > 10, "{crate_}: {order:?}");
        for (i, module) in order.iter().enumerate() {
            let file = root(&format!("{crate_}/src/{module}.rs"));
            let mut files = sources(&format!("{crate_}/src/{module}"));
            files.extend(file.exists().then_some(file));
            assert!(!files.is_empty(), "{crate_}: {module}");
            for file in files.iter().filter(|f| !f.ends_with("tests.rs")) {
                let used = used(&fs::read_to_string(file).unwrap());
                for later in &order[i + 1..] {
                    let edge = format!("{crate_}: {module} -> {later}");
                    assert!(
                        !used.contains(later) || excepted.contains(&edge.as_str()),
                        "{edge}: {} uses a module below it",
                        file.display()
                    );
                }
            }
        }
    }
}

#[test]
fn paths_in_the_documents_exist() {
    let mut documents: Vec<PathBuf> =
        fs::read_dir(root("docs")).unwrap().map(|e| e.unwrap().path()).collect();
    documents.push(root("README.md"));
    let prefixes = [
        "gate/",
        "policy/",
        "proxy-filter/",
        "harness/",
        "tests/",
        "schema/",
        "scenarios/",
        "deploy/",
        "docs/",
        "scripts/",
    ];
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for word in text.split(|c: char| c.is_whitespace() || "`()[],;:|".contains(c)) {
            let path = word.trim_end_matches('.').split('#').next().unwrap();
            let concrete =
                !path.contains(['*', '<', '{']) && !path.chars().any(|c| c.is_ascii_uppercase());
            if prefixes.iter().any(|p| path.starts_with(p)) && concrete {
                assert!(root(path).exists(), "{}: {path} does not exist", document.display());
            }
        }
    }
}

/// The shells stay thin, and no file holds two subjects unseen.
#[test]
fn files_stay_small() {
    for folder in ["gate", "policy", "proxy-filter", "harness"] {
        for path in sources(&format!("{folder}/src")) {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap().lines().count();
            assert!(code <= 520, "{}: {code} lines before its tests", path.display());
        }
    }
}

/// Failure policies and names as they must be, in every shipped Envoy configuration.
#[test]
fn envoy_configurations_name_and_isolate_plugins() {
    for entry in fs::read_dir(root("deploy/envoy")).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        check_envoy(&path);
    }
}

fn check_envoy(path: &Path) {
    let text = fs::read_to_string(path).unwrap();
    let mut config: serde_json::Value = serde_yaml_ng::from_str(&text).unwrap();
    let mut names = BTreeSet::new();
    tests::envoy::plugins(&mut config, &mut |p| {
        let configuration: serde_json::Value =
            serde_json::from_str(p["configuration"]["value"].as_str().unwrap()).unwrap();
        let probe = configuration["role"] == "probe";
        // A filter that waits to be reloaded would answer requests itself.
        let filters = probe && path.ends_with("http-filter.yaml");
        let expected = if filters { "FAIL_OPEN" } else { "FAIL_RELOAD" };
        assert_eq!(p["failure_policy"], expected, "{}", path.display());
        // Else the body of a PUT never arrives.
        assert_eq!(probe, p["allow_on_headers_stop_iteration"] != true, "{}", path.display());
        assert!(names.insert(p["name"].to_string()), "{}: a name twice", path.display());
        assert_eq!(p["name"], p["root_id"]);
        assert_ne!(
            p["vm_config"]["vm_id"], p["vm_config"]["configuration"]["value"],
            "their hashes would cancel out"
        );
    });
    assert!(names.len() >= 2, "{}", path.display());
}
