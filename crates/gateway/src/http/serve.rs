//! Accepts connections, and ends them at the shutdown.

use std::{io, net::IpAddr, num::NonZeroU16, pin::pin, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
};
use tokio_rustls::server::TlsStream;

use super::{
    admission::Admission,
    connection::Connection,
    drive::{Answer, WRITE_TIMEOUT, drive},
    write_timeout::WriteTimeout,
};
use crate::tls::Tls;

/// How long to wait before the next attempt if, for example, the system has no free file
/// descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How connections are served.
#[derive(Clone, Debug)]
pub struct Connections {
    /// Serves HTTPS, with this certificate.
    pub tls: Option<Arc<Tls>>,
    /// How many may be open at a time. More wait in the system's queue.
    pub max: usize,
    /// How many may be open at a time from one IPv4 address or /64 IPv6 network. More are closed at
    /// once. `None`: as many as others leave free, and any number from this machine.
    pub max_per_client: Option<NonZeroU16>,
    /// How long requests that are being handled may continue after the shutdown began.
    pub shutdown_grace: Duration,
}

/// Serves HTTP/1.1 and HTTP/2 (with TLS by ALPN, without by prior knowledge) on `listener` until `shutdown` is
/// ready. Then it accepts no more connections, and returns when all requests have finished or the
/// grace period is over.
pub async fn serve(
    listener: TcpListener,
    service: impl Answer,
    connections: Connections,
    shutdown: impl Future<Output = ()>,
) {
    let (draining, drain) = watch::channel(());
    let permits = Arc::new(Semaphore::new(connections.max));
    let mut admission = Admission::new(connections.max, connections.max_per_client);
    let mut numbers = 0..;
    let mut shutdown = pin!(shutdown);
    loop {
        // The permit comes first: a connection that is not accepted costs nothing.
        let accepted = async {
            let permit = Arc::clone(&permits).acquire_owned().await;
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = accepted => accepted,
        };
        let (stream, remote) = match accepted {
            Ok((stream, remote)) => (stream, remote.ip()),
            Err(error) => {
                pause_if_exhausted(error).await;
                continue;
            }
        };
        let number = numbers.next().unwrap_or_default();
        let Some(lease) = admission.admit(remote, number) else {
            continue;
        };
        let tls = connections.tls.clone();
        match prepare(&stream, remote, number, tls.is_some()) {
            Ok(connection) => {
                let service = service.clone();
                let mut drain = drain.clone();
                tokio::spawn(async move {
                    match tls {
                        None => drive(stream, &connection, &service, drain).await,
                        Some(tls) => {
                            if let Some(stream) = handshake(&tls, stream, &mut drain).await {
                                drive(stream, &connection, &service, drain).await;
                            }
                        }
                    }
                    drop((lease, permit));
                });
            }
            Err(error) => tracing::debug!(reason = %error, "a connection ended at once"),
        }
    }
    drop((listener, drain));
    tracing::info!(connections = draining.receiver_count(), "shutting down");
    draining.send_replace(());
    let drained = tokio::time::timeout(connections.shutdown_grace, draining.closed());
    if drained.await.is_err() {
        tracing::warn!("the grace period is over; requests that still run are cut off");
    }
}

fn prepare(
    stream: &TcpStream,
    remote: IpAddr,
    number: u64,
    is_tls: bool,
) -> io::Result<Arc<Connection>> {
    // A response is one write. Waiting for more data would only delay it.
    stream.set_nodelay(true)?;
    Ok(Connection::new(
        stream.local_addr()?,
        remote,
        number,
        is_tls,
    ))
}

/// The connection when TLS is agreed on; `None` if it is not, or the shutdown begins.
async fn handshake(
    tls: &Tls,
    stream: TcpStream,
    drain: &mut watch::Receiver<()>,
) -> Option<TlsStream<WriteTimeout<TcpStream>>> {
    // Bytes that TLS has taken are still to be sent, so time is limited below it.
    let accepted = tls.accept(WriteTimeout::new(stream, WRITE_TIMEOUT));
    tokio::select! {
        accepted = accepted => accepted
            .inspect_err(|error| tracing::debug!(reason = %error, "a TLS handshake failed"))
            .ok(),
        _ = drain.changed() => None,
    }
}

/// Pauses after an error of `accept`, unless it concerns only one connection: other errors last
/// until some resource is freed.
async fn pause_if_exhausted(error: io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    if !matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted
    ) {
        tracing::error!(reason = %error, "cannot accept connections");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}
