//! An https server with a certificate that nobody has signed.

use std::io::{Read, Write};
use std::net::TcpListener;
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

fn serve(params: CertificateParams, more: &str) -> (u16, String) {
    let key = KeyPair::generate().unwrap();
    let cert = params.self_signed(&key).unwrap();
    let answer =
        format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n{more}Connection: close\r\n\r\nhello");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut tls = StreamOwned::new(connection, stream);
            let mut request = [0; 4096];
            if tls.read(&mut request).is_ok() {
                let _ = tls.write_all(answer.as_bytes());
                tls.conn.send_close_notify();
                let _ = tls.flush();
            }
        }
    });
    (port, cert.pem())
}
