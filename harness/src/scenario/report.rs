//! What a run was: lines for people, JSON or JUnit for machines.

use serde::Serialize;
use std::fmt::Write;

#[derive(Debug, Serialize)]
pub struct Report {
    pub scenario: String,
    pub about: String,
    pub lines: Vec<Line>,
}

#[derive(Debug, Serialize)]
pub struct Line {
    /// Seconds since the start.
    pub at_s: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    pub what: String,
    pub result: String,
    /// More lines below, such as a message.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
    /// Unmet expectations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<String>,
}

impl Report {
    pub fn passed(&self) -> bool {
        self.lines.iter().all(|l| l.failures.is_empty())
    }

    /// A table of the timeline.
    pub fn table(&self) -> String {
        let mut out = String::new();
        let width = self.lines.iter().map(|l| l.what.chars().count()).max().unwrap_or(0).min(72);
        let _ = writeln!(out, "{}: {}", self.scenario, self.about);
        for line in &self.lines {
            if let Some(step) = &line.step {
                let _ = writeln!(out, "\n{step}");
            }
            let time = format!("{:>3}:{:02}", line.at_s / 60, line.at_s % 60);
            let mark = if line.failures.is_empty() { ' ' } else { '!' };
            let _ = writeln!(out, "{mark}{time}  {:width$}  {}", line.what, line.result);
            for detail in &line.details {
                for row in detail.lines().flat_map(|line| wrap(line, 96)) {
                    let _ = writeln!(out, "         | {row}");
                }
            }
            for failure in &line.failures {
                let _ = writeln!(out, "         ! {failure}");
            }
        }
        let failed = self.lines.iter().filter(|l| !l.failures.is_empty()).count();
        let _ = writeln!(
            out,
            "\n{} of {} lines as expected",
            self.lines.len() - failed,
            self.lines.len()
        );
        out
    }

    /// JUnit XML, one case a line.
    pub fn junit(&self) -> String {
        let failed = self.lines.iter().filter(|l| !l.failures.is_empty()).count();
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let _ = writeln!(
            out,
            "<testsuite name=\"{}\" tests=\"{}\" failures=\"{failed}\">",
            escape(&self.scenario),
            self.lines.len()
        );
        for line in &self.lines {
            let name = format!("{}s {}", line.at_s, line.what);
            if line.failures.is_empty() {
                let _ = writeln!(out, "  <testcase name=\"{}\"/>", escape(&name));
            } else {
                let _ = writeln!(
                    out,
                    "  <testcase name=\"{}\"><failure message=\"{}\"/></testcase>",
                    escape(&name),
                    escape(&line.failures.join("; "))
                );
            }
        }
        out.push_str("</testsuite>\n");
        out
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut rows = vec![String::new()];
    for word in text.split_whitespace() {
        let last = rows.last_mut().expect("never empty");
        if !last.is_empty() && last.chars().count() + 1 + word.chars().count() > width {
            rows.push(word.to_owned());
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    rows
}
