//! That nothing of this run listens beyond loopback, as the kernel says.

use anyhow::{ensure, Result};
use std::collections::BTreeSet;
use std::fs;

/// Inodes of sockets that listen on another address than loopback's, with the address.
fn beyond_loopback() -> Result<Vec<(String, String)>> {
    let mut found = vec![];
    // 127.0.0.1, and ::1 or 127.0.0.1 as IPv6 writes them, in the kernel's byte order.
    let loopback =
        ["0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"];
    for file in ["/proc/net/tcp", "/proc/net/tcp6"] {
        for line in fs::read_to_string(file).unwrap_or_default().lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [_, local, _, state, _, _, _, _, _, inode, ..] = fields.as_slice() else {
                continue;
            };
            let address = local.split(':').next().unwrap_or_default();
            if *state == "0A" && !loopback.contains(&address) {
                found.push(((*inode).to_owned(), (*local).to_owned()));
            }
        }
    }
    Ok(found)
}

/// Processes that this one started, and theirs.
fn descendants() -> BTreeSet<u32> {
    let mut parents = vec![];
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // The name may hold blanks, and ends with a bracket.
        let after = stat.rsplit(')').next().unwrap_or_default();
        if let Some(parent) = after.split_whitespace().nth(1).and_then(|p| p.parse::<u32>().ok()) {
            parents.push((id, parent));
        }
    }
    let mut all = BTreeSet::from([std::process::id()]);
    loop {
        let before = all.len();
        let more = parents.iter().filter(|(_, parent)| all.contains(parent)).map(|(id, _)| *id);
        let more: Vec<u32> = more.collect();
        all.extend(more);
        if all.len() == before {
            return all;
        }
    }
}

/// How many programs were looked at.
///
/// # Errors
/// One of them listens elsewhere.
pub fn check() -> Result<usize> {
    let beyond = beyond_loopback()?;
    let all = descendants();
    for id in &all {
        for fd in fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten().flatten() {
            let target = fs::read_link(fd.path()).unwrap_or_default().display().to_string();
            for (inode, address) in &beyond {
                let name = fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
                let listens = target == format!("socket:[{inode}]");
                ensure!(!listens, "{} listens on {address}", name.trim());
            }
        }
    }
    Ok(all.len())
}
