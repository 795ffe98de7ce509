//! Whether a container runtime answers: the first exchange of HTTP/2
//! ([RFC 9113, 3.4](https://www.rfc-editor.org/rfc/rfc9113#section-3.4)), on which gRPC runs.
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// A SETTINGS frame without settings: length, type, flags, stream.
const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn answers(endpoint: &str) -> io::Result<()> {
    let path = endpoint.strip_prefix("unix://").unwrap_or(endpoint);
    let mut stream = UnixStream::connect(Path::new(path))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(HELLO)?;
    stream.write_all(&SETTINGS)?;
    let mut frame = [0; 9];
    stream.read_exact(&mut frame)?;
    match frame[3] == SETTINGS[3] {
        true => Ok(()),
        false => Err(io::Error::other("it does not speak HTTP/2")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;

    use super::{HELLO, SETTINGS, answers};

    #[test]
    fn one_that_answers_and_others() {
        let directory = tempfile::tempdir().unwrap();
        for (name, reply, expected) in [
            (
                "good",
                &[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 5, 0, 0, 64, 0][..],
                true,
            ),
            ("http", b"HTTP/1.1 400 Bad Request\r\n", false),
            ("ends", b"", false),
        ] {
            let path = directory.path().join(name);
            let listener = UnixListener::bind(&path).unwrap();
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut hello = vec![0; HELLO.len() + SETTINGS.len()];
                stream.read_exact(&mut hello).unwrap();
                stream.write_all(reply).unwrap();
            });
            let endpoint = format!("unix://{}", path.display());
            assert_eq!(answers(&endpoint).is_ok(), expected, "{name}");
            server.join().unwrap();
        }
        assert!(answers("unix:///nonexistent/socket").is_err());
    }
}
