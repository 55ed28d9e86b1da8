//! Jobs and CronJobs: what their containers run.

use super::object::Object;
use gate::parse::{get, Json};

/// A Job or CronJob.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a>(pub Object<'a>);

impl<'a> Job<'a> {
    fn job_spec(self) -> Object<'a> {
        match self.0.at(&["spec", "jobTemplate"]) {
            Json::Null => Object(self.0.at(&["spec"])),
            template => Object(Object(template).at(&["spec"])),
        }
    }

    /// Whether nothing runs until somebody clears the flag.
    pub fn is_suspended(self) -> bool {
        self.0.at(&["spec", "suspend"]) == &Json::Bool(true)
    }

    /// Whether some container runs rsync so that it deletes.
    pub fn deletes_by_rsync(self) -> bool {
        let pod = self.job_spec().at(&["template", "spec"]);
        ["initContainers", "containers"]
            .iter()
            .filter_map(|key| get(pod, key).as_array())
            .flatten()
            .any(|container| {
                let argv = ["command", "args"]
                    .iter()
                    .filter_map(|key| get(container, key).as_array())
                    .flatten()
                    .filter_map(Json::as_str)
                    .map(str::to_owned)
                    .collect();
                deletes(argv, 0)
            })
    }
}

/// Scripts within scripts that are looked into.
const MOST_NESTED: u8 = 8;

/// Whether one command, or a script among its words, is such an rsync.
fn deletes(words: Vec<String>, depth: u8) -> bool {
    let is_rsync = |w: &String| w.rsplit('/').next() == Some("rsync");
    if let Some(start) = words.iter().position(is_rsync) {
        let options = words.get(start..).unwrap_or_default();
        if options.iter().any(|w| is_deleting(w)) && !options.iter().any(|w| is_dry_run(w)) {
            return true;
        }
    }
    // `sh -c "…"`: a word with blanks or separators may be a script. Deeper
    // than anybody quotes, it counts as one that deletes if it names both.
    words.iter().filter(|w| w.contains(|c: char| c.is_whitespace() || is_separator(c))).any(|w| {
        if depth >= MOST_NESTED {
            return w.contains("rsync") && w.contains("--");
        }
        commands(w).into_iter().any(|c| deletes(c, depth + 1))
    })
}

fn is_separator(c: char) -> bool {
    matches!(c, ';' | '&' | '|' | '(' | ')' | '{' | '}' | '`' | '\n')
}

/// rsync(1): `--del` is short for `--delete-during`.
fn is_deleting(word: &str) -> bool {
    word == "--del" || word.starts_with("--delete") || word == "--remove-source-files"
}

/// `--dry-run`, or an `n` among short options before any that takes a value.
fn is_dry_run(word: &str) -> bool {
    let short = word.strip_prefix('-').filter(|w| !w.starts_with('-'));
    let before_values =
        short.and_then(|w| w.split(['e', 'f', 'B', 'T', 'M', '@']).next()).unwrap_or_default();
    word == "--dry-run" || before_values.contains('n')
}

/// The commands of a shell script as words: split at blanks and separators
/// outside quotes. What a shell would do with variables is not followed.
fn commands(script: &str) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut chars = script.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None | Some('"'), '\\') => word.extend(chars.next().filter(|c| *c != '\n')),
            (None, c) if c.is_whitespace() || is_separator(c) => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                if c == '\n' || is_separator(c) {
                    commands.push(std::mem::take(&mut words));
                }
            }
            (_, c) => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    commands.push(words);
    commands
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::{json, Value};

    fn job(argv: &[&str]) -> Value {
        json!({"spec": {"template": {"spec": {"containers": [{"command": argv}]}}}})
    }

    #[rstest]
    #[case(&["rsync", "-a", "--delete", "a/", "b/"], true)]
    #[case(&["/usr/bin/rsync", "-a", "--del", "a/", "b/"], true)]
    #[case(&["rsync", "--delete-excluded", "a/", "b/"], true)]
    #[case(&["rsync", "--remove-source-files", "a/", "b/"], true)]
    #[case(&["rsync", "-a", "a/", "b/"], false)]
    #[case(&["rsync", "-an", "--delete", "a/", "b/"], false)]
    #[case(&["rsync", "--dry-run", "--delete", "a/", "b/"], false)]
    // The n is what -e runs, not an option.
    #[case(&["rsync", "-aen", "--delete", "a/", "b/"], true)]
    #[case(&["rm", "--delete", "x"], false)]
    #[case(&["sh", "-c", "rsync -a --delete a/ b/"], true)]
    #[case(&["sh", "-c", "set -e\nrsync -a \\\n --delete a/ b/\n"], true)]
    #[case(&["bash", "-lc", "rsync -n --delete a b; rsync --delete a b"], true)]
    #[case(&["sh", "-c", "rsync -a a b && echo --delete"], false)]
    #[case(&["sh", "-c", "rsync -a -e 'ssh -n' --delete a h:b"], true)]
    #[case(&["sh", "-c", "ssh h 'rsync --delete a b'"], true)]
    #[case(&["sh", "-c", "ssh h \"rsync --dry-run --delete a b\""], false)]
    #[case(&["sh", "-c", "echo rsync-mirror --delete"], false)]
    #[case(&["sh", "-c", "(rsync --delete a b)|tee log"], true)]
    #[case(&["sh", "-c", "rsync \\--delete a b"], true)]
    fn commands_that_delete(#[case] argv: &[&str], #[case] expected: bool) {
        let v = job(argv);
        assert_eq!(Job(Object::of(&v)).deletes_by_rsync(), expected, "{argv:?}");
    }

    /// What is nested deeper than anybody quotes counts as deleting if it could.
    #[rstest]
    #[case("rsync a b", false)]
    #[case("x --delete y", false)]
    #[case("rsync -n --delete a b", true)]
    fn the_deepest_script(#[case] script: &str, #[case] expected: bool) {
        assert_eq!(deletes(vec![script.to_owned()], MOST_NESTED), expected);
        let wrap = |script: String, _| {
            format!("sh -c \"{}\"", script.replace('\\', "\\\\").replace('"', "\\\""))
        };
        let nested = (0..MOST_NESTED + 1).fold(script.to_owned(), wrap);
        assert_eq!(deletes(vec![nested], 0), expected, "each level is one deeper");
    }

    #[test]
    fn a_cron_job_has_its_job_one_level_down() {
        let spec = job(&["rsync"])["spec"].clone();
        let mut v = json!({"spec": {"jobTemplate": {"spec": spec}}});
        assert!(!Job(Object::of(&v)).deletes_by_rsync());
        v["spec"]["jobTemplate"]["spec"]["template"]["spec"]["initContainers"] =
            json!([{"command": ["rsync"], "args": ["--delete", "a", "b"]}]);
        assert!(Job(Object::of(&v)).deletes_by_rsync());
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics(words in prop::collection::vec(".{0,60}", 0..5)) {
            let argv: Vec<&str> = words.iter().map(String::as_str).collect();
            let _ = Job(Object::of(&job(&argv))).deletes_by_rsync();
        }
    }
}
