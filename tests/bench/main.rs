//! `make bench`: what both plugins cost; `policy` or `filter` as argument runs one.

mod filter;
mod policy;

fn main() {
    let wanted = std::env::args().nth(1);
    let is_wanted = |name: &str| wanted.as_deref().is_none_or(|w| w == name);
    let mut over = Vec::new();
    if is_wanted("policy") {
        over.extend(policy::run());
    }
    if is_wanted("filter") {
        over.extend(filter::run());
    }
    for what in &over {
        println!("over budget: {what}");
    }
}
