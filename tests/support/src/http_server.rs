//! What the HTTP servers of the tests have in common: a thread for each
//! connection, and the head of a request. The responses are theirs.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// A port that is listened at until this is dropped.
pub struct Listener {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
}

impl Listener {
    /// On a free port of `ip`. Each connection is `talk`'s, in a thread of its own.
    pub fn start<T>(ip: &str, talk: T) -> Listener
    where
        T: Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static,
    {
        let listener = TcpListener::bind((ip, 0)).expect("no free port");
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::default());
        let stopped = Arc::clone(&stop);
        let talk = Arc::new(talk);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let talk = Arc::clone(&talk);
                thread::spawn(move || {
                    // A client that went away is part of the game.
                    let _ = talk(stream);
                });
            }
        });
        Listener { address, stop }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

/// A request as it was seen.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// As in the request line.
    pub target: String,
    /// By lowercase name.
    pub headers: HashMap<String, String>,
    /// As much as its `Content-Length` says.
    pub body: Vec<u8>,
}

impl Request {
    /// Reads the head, and the body if there is one.
    pub fn read(stream: &TcpStream) -> io::Result<Request> {
        let mut reader = BufReader::new(stream);
        let (mut request, length) = Request::head(&mut reader)?;
        request.body = vec![0; length];
        reader.read_exact(&mut request.body)?;
        Ok(request)
    }

    /// Reads the head; how long the body is, which comes after it.
    pub fn head(reader: &mut impl BufRead) -> io::Result<(Request, usize)> {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let mut words = line.split(' ').map(str::to_owned);
        let method = words.next().unwrap_or_default();
        let target = words.next().unwrap_or_default();
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? <= 2 {
                break;
            }
            if let Some((name, value)) = line.split_once(':') {
                headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
            }
        }
        let length = headers.get("content-length");
        let length = length.and_then(|length| length.parse().ok()).unwrap_or(0);
        let request = Request {
            method,
            target,
            headers,
            body: Vec::new(),
        };
        Ok((request, length))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}
