//! A client that is cheap enough to load a proxy: HTTP/1.1 by hand on a few
//! connections that stay open.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;

/// One request on the VIP: whether it is the canary's, and its path.
pub type Asked = (bool, String);

/// Sends every request once, in parts over so many connections.
///
/// # Panics
/// Where a request is not answered.
pub fn pour(port: u16, requests: &[Asked], connections: usize) {
    thread::scope(|scope| {
        for part in requests.chunks(requests.len().div_ceil(connections)) {
            scope.spawn(move || connection(port, part).expect("an answer to each request"));
        }
    });
}

fn connection(port: u16, requests: &[Asked]) -> std::io::Result<()> {
    let mut writer = TcpStream::connect(("127.0.0.1", port))?;
    writer.set_nodelay(true)?;
    let mut reader = BufReader::new(writer.try_clone()?);
    let mut line = String::new();
    for (canary, path) in requests {
        let host = if *canary { "canary.gw.example.com" } else { "gw.example.com" };
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n");
        writer.write_all(request.as_bytes())?;
        let mut length = 0;
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            if line == "\r\n" {
                break;
            }
        }
        reader.read_exact(&mut vec![0; length])?;
    }
    Ok(())
}
