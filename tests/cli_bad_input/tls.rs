use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use super::Ran;
use super::network::{URL, WHAT, cold};
use nodeimg_test_support::faulty_server::good;
use nodeimg_test_support::synthetic::World;
use nodeimg_test_support::tls_server::tls_server;

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
            tls_server(&["127.0.0.1"]).0,
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
