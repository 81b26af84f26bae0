//! Listens.

use std::{io, net::SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

/// How many connections the system may complete before they are accepted. Of those beyond, the first
/// packet is lost, and a client sends it again after a second. The system has a limit of its own
/// (`net.core.somaxconn`, often 4096).
const BACKLOG: u32 = 4096;

/// Listens on an address.
///
/// # Errors
///
/// As the system's, such as when the address is in use.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // So that a restart does not have to wait until former connections are forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{net::TcpStream, time::timeout};

    use super::*;

    #[tokio::test]
    async fn many_may_connect_at_once() {
        let listener = listen(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let mut connections = Vec::new();
        // More than the 128 that a program gets who does not ask for more.
        for _ in 0..300 {
            let connect = timeout(Duration::from_secs(60), TcpStream::connect(address));
            connections.push(connect.await.expect("nobody has to try again").unwrap());
        }
        for _ in &connections {
            listener.accept().await.unwrap();
        }
    }

    #[tokio::test]
    async fn an_address_is_in_use_once() {
        let listener = listen(([127, 0, 0, 1], 0).into()).unwrap();
        let again = listen(listener.local_addr().unwrap());
        assert_eq!(again.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
