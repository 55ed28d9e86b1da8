//! Real servers on loopback: upstreams and an API server.
//!
//! Plain HTTP/1.1 with keep-alive, a thread a connection; they never close a
//! connection that the proxy may be about to use.

use harness::cluster::Cluster;
use serde_json::{json, Value};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// The kernel kills the program where the thread that started it
/// ends without a word, as it does with its process.
#[cfg(target_os = "linux")]
pub fn end_with_parent(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    // SAFETY: prctl is safe to call between fork and exec.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        });
    }
}

#[cfg(not(target_os = "linux"))]
pub fn end_with_parent(_: &mut Command) {}

struct Request {
    method: String,
    path: String,
    content_type: String,
    body: Vec<u8>,
}

/// What a server answers; `retry_after` in seconds.
struct Reply {
    status: u16,
    retry_after: Option<u32>,
    body: Vec<u8>,
}

impl From<(u16, Vec<u8>)> for Reply {
    fn from((status, body): (u16, Vec<u8>)) -> Self {
        Self { status, retry_after: None, body }
    }
}

fn serve<R: Into<Reply>>(answer: impl Fn(Request) -> R + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a server");
    let port = listener.local_addr().expect("its address").port();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            thread::spawn(move || {
                let _ = connection(stream, &|request| answer(request).into());
            });
        }
    });
    port
}

fn connection(stream: TcpStream, answer: &dyn Fn(Request) -> Reply) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (mut length, mut chunked, mut content_type) = (0, false, String::new());
        loop {
            let mut header = Vec::new();
            reader.read_until(b'\n', &mut header)?;
            let header = String::from_utf8_lossy(&header).trim().to_owned();
            let Some((name, value)) = header.split_once(':') else {
                break;
            };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap_or(0),
                "transfer-encoding" => chunked = value.trim() == "chunked",
                "content-type" => content_type = value.trim().to_owned(),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        while chunked {
            let mut size = String::new();
            reader.read_line(&mut size)?;
            let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk)?;
            body.extend(&chunk[..size]);
            chunked = size > 0;
        }
        let Reply { status, retry_after, body } =
            answer(Request { method, path, content_type, body });
        match status {
            // A chunk a second, for so many seconds as the body says.
            STREAM => {
                let seconds: u64 = String::from_utf8_lossy(&body).parse().unwrap_or(1);
                write!(writer, "HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n")?;
                for _ in 0..seconds {
                    thread::sleep(Duration::from_secs(1));
                    write!(writer, "2\r\nok\r\n")?;
                }
                write!(writer, "0\r\n\r\n")?;
                continue;
            }
            // Gone in mid-sentence.
            CUT => {
                writer.write_all(b"HTTP/1.1 200 X\r\ncontent-length: 100\r\n\r\nok")?;
                return Ok(());
            }
            // Gone without a word.
            RESET => return Ok(()),
            101 => {
                writer.write_all(
                    b"HTTP/1.1 101 X\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
                )?;
                thread::sleep(Duration::from_millis(300));
                return Ok(());
            }
            _ => {}
        }
        let (status, grpc) = match status {
            GRPC_FAILED => (200, "content-type: application/grpc\r\ngrpc-status: 13\r\n"),
            status => (status, "content-type: application/json\r\n"),
        };
        let retry = retry_after.map(|s| format!("retry-after: {s}\r\n")).unwrap_or_default();
        write!(
            writer,
            "HTTP/1.1 {status} X\r\n{grpc}{retry}content-length: {}\r\n\r\n",
            body.len()
        )?;
        writer.write_all(&body)?;
    }
}

/// Statuses of no server: the connection ends; a 200 whose grpc-status is 13; a
/// 200 that takes its time; one that breaks off.
const RESET: u16 = 1;
const GRPC_FAILED: u16 = 2;
const STREAM: u16 = 3;
const CUT: u16 = 4;

/// An upstream that answers as the path asks: `/STATUS/MS`, `/stream/SECONDS`, or
/// `/reset`, `/cut`, `/grpc13`, and `/flaky`, which fails every first time.
pub struct Upstream {
    pub port: u16,
    /// How long each answer really took here, milliseconds.
    pub took_ms: Arc<Mutex<Vec<f64>>>,
}

impl Upstream {
    pub fn start() -> Self {
        let took_ms = Arc::new(Mutex::new(Vec::new()));
        let took = Arc::clone(&took_ms);
        let flaky = AtomicU32::new(0);
        let port = serve(move |request| {
            let begun = Instant::now();
            let mut parts = request.path.trim_matches('/').split('/');
            let status: u16 = match parts.next() {
                Some("reset") => RESET,
                Some("cut") => CUT,
                Some("grpc13") => GRPC_FAILED,
                Some("stream") => return (STREAM, parts.next().unwrap_or("1").into()),
                Some("flaky") if flaky.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) => 503,
                status => status.and_then(|s| s.parse().ok()).unwrap_or(200),
            };
            let ms: u64 = parts.next().and_then(|s| s.parse().ok()).unwrap_or(0);
            thread::sleep(Duration::from_millis(ms));
            let mut took = took.lock().unwrap_or_else(PoisonError::into_inner);
            took.push(begun.elapsed().as_secs_f64() * 1000.0);
            (status, b"ok".to_vec())
        });
        Self { port, took_ms }
    }
}

/// A notifier that keeps what it was told.
pub struct Notifier {
    pub port: u16,
    pub digests: Arc<Mutex<Vec<serde_json::Value>>>,
}

impl Notifier {
    pub fn start() -> Self {
        let digests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&digests);
        let port = serve(move |request| {
            let digest = serde_json::from_slice(&request.body).unwrap_or_default();
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(digest);
            (if request.path == "/digests" { 204 } else { 404 }, vec![])
        });
        Self { port, digests }
    }
}

/// How an API server goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trouble {
    /// It refuses with this status, and asks to wait for so many seconds.
    Refuses(u16, Option<u32>),
    /// It does what is asked and answers after so many seconds.
    Slow(u64),
    /// The connection ends before anything is done.
    Cut,
    /// It does what is asked, and the connection ends without an answer.
    DoneAndCut,
}

/// What an API server was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    pub at: Instant,
    pub method: String,
    pub path: String,
    pub body: Value,
    /// What it answered, where it did not go wrong.
    pub status: u16,
}

/// An API server over HTTP, on the harness's cluster.
pub struct ApiServer {
    pub port: u16,
    pub cluster: Arc<Mutex<Cluster>>,
    pub trouble: Arc<Mutex<Option<Trouble>>>,
    pub asked: Arc<Mutex<Vec<Asked>>>,
}

impl ApiServer {
    pub fn start() -> Self {
        let cluster = Arc::new(Mutex::new(Cluster::default()));
        let trouble = Arc::new(Mutex::new(None));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (objects, wrong, heard) =
            (Arc::clone(&cluster), Arc::clone(&trouble), Arc::clone(&asked));
        let port = serve(move |r| {
            let hear = |status| {
                let asked = Asked {
                    at: Instant::now(),
                    method: r.method.clone(),
                    path: r.path.clone(),
                    body: serde_json::from_slice(&r.body).unwrap_or_default(),
                    status,
                };
                heard.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
            };
            let trouble = *wrong.lock().unwrap_or_else(PoisonError::into_inner);
            match trouble {
                Some(Trouble::Refuses(status, retry_after)) => {
                    hear(status);
                    let body = json!({ "kind": "Status", "message": "as the test wants it" });
                    return Reply { status, retry_after, body: body.to_string().into_bytes() };
                }
                Some(Trouble::Cut) => {
                    hear(0);
                    return (RESET, vec![]).into();
                }
                _ => {}
            }
            let answer = objects.lock().unwrap_or_else(PoisonError::into_inner).http(
                &r.method,
                &r.path,
                &r.content_type,
                &r.body,
            );
            hear(answer.status);
            match trouble {
                Some(Trouble::Slow(seconds)) => thread::sleep(Duration::from_secs(seconds)),
                Some(Trouble::DoneAndCut) => return (RESET, vec![]).into(),
                _ => {}
            }
            (answer.status, answer.body.to_string().into_bytes()).into()
        });
        Self { port, cluster, trouble, asked }
    }
}

/// A folder of this test's own.
pub fn folder(name: &str) -> PathBuf {
    let path = crate::root("target/servers").join(format!("{name}-{}", free_port()));
    std::fs::create_dir_all(&path).expect("a folder");
    path
}

/// The configuration of a registry on loopback that keeps its data in this folder.
pub fn registry_config(data: &Path, port: u16) -> PathBuf {
    let config = data.join("config.yml");
    let text = json!({
        "version": 0.1, "storage": { "filesystem": { "rootdirectory": data } },
        "http": { "addr": format!("127.0.0.1:{port}") },
    });
    std::fs::write(&config, text.to_string()).expect("its configuration");
    config
}

/// A server of Debian's packages, ended with the test.
pub struct Server(Child);

impl Server {
    pub fn start(program: &str, args: &[&str], port: u16) -> Self {
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
        let child = Command::new(program)
            .args(args)
            .env("PATH", path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("{program}: {e}; run `scripts/setup.sh servers`"));
        let server = Self(child);
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "{program} does not listen");
            thread::sleep(Duration::from_millis(50));
        }
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
