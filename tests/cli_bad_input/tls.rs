use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::Ran;
use super::network::{URL, WHAT, cold};
use super::support::faulty_server::good;
use super::support::synthetic::World;

/// A server with a certificate that nobody has signed.
fn tls_server() -> u16 {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut tls = StreamOwned::new(connection, stream);
            // The client ends it, or gets bytes that no lock knows.
            if tls.read(&mut [0; 4096]).is_ok() {
                let _ = tls.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
            }
        }
    });
    port
}

/// A server that speaks something else.
fn no_tls_server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n");
        }
    });
    port
}

#[test]
fn tls_failures() {
    let cases = [
        (
            tls_server(),
            vec!["a CA that this machine does not know", "SSL_CERT_FILE"],
        ),
        (no_tls_server(), vec!["does not speak TLS on this port"]),
    ];
    for (port, says) in cases {
        let world = World::locked();
        let mut command = cold(&world, vec![good(b"")], "0");
        command.env(
            "NODEIMG_MIRROR",
            format!("https://up.test/=https://127.0.0.1:{port}/"),
        );
        let mut all = vec![WHAT, URL];
        all.extend(says);
        Ran::of(&mut command).refused(1, &all);
        world.is_clean().unwrap();
        assert!(world.blobs().is_empty());
    }
}
