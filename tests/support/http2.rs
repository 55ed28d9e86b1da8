//! HTTP/2 with prior knowledge, for what HTTP/1.1 has not: trailers.

use crate::servers::free_port;
use http::{HeaderMap, Request, Response};
use std::future::Future;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn trailers(pairs: &[(&'static str, String)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")))
        .collect()
}

/// Answers `/grpc/STATUS` with a 200 whose trailers hold that grpc-status, and
/// `/grpc/cut` with one that ends in the middle.
pub struct GrpcUpstream {
    pub port: u16,
}

impl GrpcUpstream {
    pub fn start() -> Self {
        let port = free_port();
        let (listening, is_listening) = std::sync::mpsc::channel();
        thread::spawn(move || {
            runtime().block_on(async {
                let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("a server");
                listening.send(()).expect("somebody waits");
                // One connection at a time is all that the proxy opens to it.
                while let Ok((stream, _)) = listener.accept().await {
                    let _ = connection(stream).await;
                }
            });
        });
        is_listening.recv().expect("it listens");
        Self { port }
    }
}

async fn connection(stream: TcpStream) -> Result<(), h2::Error> {
    let mut connection = h2::server::handshake(stream).await?;
    while let Some(request) = connection.accept().await {
        let (request, mut respond) = request?;
        let status = request.uri().path().rsplit('/').next().unwrap_or("0").to_owned();
        let head = Response::builder().header("content-type", "application/grpc").body(());
        let mut body = respond.send_response(head.expect("a response"), false)?;
        body.send_data(vec![0; 5].into(), false)?;
        if status == "cut" {
            // After what went before is on its way.
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(200)).await;
                body.send_reset(h2::Reason::INTERNAL_ERROR);
            });
        } else {
            body.send_trailers(trailers(&[("grpc-status", status)]))?;
        }
    }
    Ok(())
}

/// Sends a request whose body is followed by trailers. The status; 0 where the
/// answer ended before its end.
pub fn send(port: u16, method: &str, authority: &str, path: &str, bearer: &str, body: &str) -> u16 {
    runtime().block_on(exchange(port, method, authority, path, bearer, body)).unwrap_or(0)
}

async fn exchange(
    port: u16,
    method: &str,
    authority: &str,
    path: &str,
    bearer: &str,
    body: &str,
) -> Result<u16, h2::Error> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let stream = TcpStream::connect(address).await.expect("a connection");
    let (mut client, connection) = h2::client::handshake(stream).await?;
    let request = Request::builder()
        .method(method)
        .uri(format!("http://{authority}{path}"))
        .header("authorization", format!("Bearer {bearer}"))
        .header(
            "content-type",
            if bearer.is_empty() { "application/grpc" } else { "application/json" },
        )
        .body(())
        .expect("a request");
    let answer = async {
        let (response, mut sending) = client.send_request(request, false)?;
        sending.send_data(body.as_bytes().to_vec().into(), false)?;
        sending.send_trailers(trailers(&[("x-checksum", "1".to_owned())]))?;
        let mut response = response.await?;
        let status = response.status().as_u16();
        while let Some(chunk) = response.body_mut().data().await {
            chunk?;
        }
        Ok(status)
    };
    either(answer, connection).await
}

/// The answer, while the connection is driven.
async fn either<T>(
    answer: impl Future<Output = Result<T, h2::Error>>,
    connection: impl Future<Output = Result<(), h2::Error>>,
) -> Result<T, h2::Error> {
    let mut answer = std::pin::pin!(answer);
    let mut connection = std::pin::pin!(connection);
    std::future::poll_fn(|cx| {
        let _ = connection.as_mut().poll(cx);
        answer.as_mut().poll(cx)
    })
    .await
}
