//! An https server with a certificate that nobody has signed.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Serves `hello` over TLS as 127.0.0.1, and gives its port and certificate.
pub fn tls_server(names: &[&str]) -> (u16, String) {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    serve(CertificateParams::new(names).unwrap(), "")
}

/// The same with a certificate of these years; `date` is what the server says of the time.
pub fn tls_server_of(name: &str, [from, until]: [i32; 2], date: &str) -> (u16, String) {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(from, 1, 1);
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    serve(params, &format!("Date: {date}\r\n"))
}

/// An https server of these names that has the answers of the http server at `to`, to GET; its
/// port and certificate. Each connection is for one request, as `to` has it.
pub fn tls_relay(names: &[&str], to: SocketAddr) -> (u16, String) {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    listen(CertificateParams::new(names).unwrap(), move |mut tls| {
        let mut head = Vec::new();
        let mut buffer = [0; 4096];
        while !head.ends_with(b"\r\n\r\n") {
            match tls.read(&mut buffer)? {
                0 => return Ok(()),
                got => head.extend_from_slice(&buffer[..got]),
            }
        }
        let mut server = TcpStream::connect(to)?;
        server.write_all(&head)?;
        io::copy(&mut server, &mut tls)?;
        tls.conn.send_close_notify();
        tls.flush()
    })
}

type Tls = StreamOwned<ServerConnection, TcpStream>;

fn serve(params: CertificateParams, more: &str) -> (u16, String) {
    let answer =
        format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n{more}Connection: close\r\n\r\nhello");
    listen(params, move |mut tls| {
        // The whole request is in one record.
        let mut request = [0; 4096];
        let _ = tls.read(&mut request)?;
        tls.write_all(answer.as_bytes())?;
        tls.conn.send_close_notify();
        tls.flush()
    })
}

/// Each connection is `talk`'s, in a thread of its own.
fn listen<T>(params: CertificateParams, talk: T) -> (u16, String)
where
    T: Fn(Tls) -> io::Result<()> + Send + Sync + 'static,
{
    let key = KeyPair::generate().unwrap();
    let cert = params.self_signed(&key).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let (config, talk) = (Arc::new(config), Arc::new(talk));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let talk = Arc::clone(&talk);
            thread::spawn(move || {
                // A client that went away is part of the game.
                let _ = talk(StreamOwned::new(connection, stream));
            });
        }
    });
    (port, cert.pem())
}
