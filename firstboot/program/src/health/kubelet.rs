//! Whether the kubelet runs and is well, whatever its cluster does.
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use nodeimg_seed::contract::paths::{KUBEADM_CONFIG, KUBELET_BOOTSTRAP};

use super::Lack;
use super::checks::Asked;
use super::systemd::Unit;
use crate::root::Root;

const UNIT: &str = "kubelet.service";
/// How long one process must run.
const STEADY: Duration = Duration::from_secs(60);
/// A kubelet opens its port only after its API server has answered. One that runs for so long
/// without it waits for that, and is well as far as the image can be.
const WAITS: Duration = Duration::from_secs(300);
const PATIENCE: Duration = Duration::from_secs(10);
const PORT: u16 = 10248;
const MAX_FILE: usize = 1 << 20;
/// Where the kubelet's configuration is; what comes later counts.
const CONFIGS: [&str; 2] = [
    "/var/lib/kubelet/config.yaml",
    "/var/lib/kubelet/kubelet-config.yaml",
];
const DROP_INS: &str = "/etc/kubernetes/kubelet.conf.d";

/// The process that runs, and since when.
#[derive(Default)]
pub(super) struct Kubelet(Option<(String, Instant)>);

impl Kubelet {
    pub(super) fn ask(&mut self, root: &Root) -> Asked {
        let unit = Unit::ask(UNIT);
        let health = healthz_at(root).map(healthz);
        let has_joined = ![KUBELET_BOOTSTRAP, KUBEADM_CONFIG]
            .iter()
            .any(|path| root.exists(path));
        self.judge(&unit, health, has_joined, Instant::now())
    }

    fn judge(
        &mut self,
        unit: &Unit,
        health: Option<io::Result<()>>,
        has_joined: bool,
        now: Instant,
    ) -> Asked {
        if let Some(failure) = unit.failure() {
            return Asked::Never(Lack::of(UNIT, format!("the kubelet {failure}")));
        }
        if !unit.is_wanted() {
            return Asked::Yes;
        }
        let lack = |why: &str| Asked::NotYet(Lack::of(UNIT, format!("the kubelet {why}")));
        let Some(process) = unit.process() else {
            self.0 = None;
            return lack("does not run");
        };
        let since = match &self.0 {
            Some((known, since)) if known == process => *since,
            _ => now,
        };
        self.0 = Some((process.to_owned(), since));
        let steady = now.duration_since(since);
        match health {
            _ if steady < STEADY => lack("has not run for a minute yet"),
            None | Some(Ok(())) => Asked::Yes,
            Some(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                match !has_joined || steady >= WAITS {
                    true => Asked::Yes,
                    false => lack("has not opened its health port"),
                }
            }
            Some(Err(error)) => lack(&format!("is not healthy: {error}")),
        }
    }
}

/// None if its configuration switches the port off.
fn healthz_at(root: &Root) -> Option<SocketAddr> {
    let (mut port, mut address) = (PORT, IpAddr::V4(Ipv4Addr::LOCALHOST));
    let names = root.list(DROP_INS).unwrap_or_default();
    let drop_ins = names.iter().filter(|(name, _)| name.ends_with(".conf"));
    let drop_ins: Vec<String> = drop_ins
        .map(|(name, _)| format!("{DROP_INS}/{name}"))
        .collect();
    for path in CONFIGS
        .into_iter()
        .chain(drop_ins.iter().map(String::as_str))
    {
        let Some(bytes) = root.read(path, MAX_FILE).ok().flatten() else {
            continue;
        };
        let text = String::from_utf8_lossy(&bytes);
        port = value(&text, "healthzPort").unwrap_or(port);
        address = value(&text, "healthzBindAddress").unwrap_or(address);
    }
    let address = match address {
        IpAddr::V4(any) if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(any) if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        one => one,
    };
    (port != 0).then(|| SocketAddr::new(address, port))
}

/// A setting at the top of a file in YAML or JSON.
fn value<T: std::str::FromStr>(text: &str, key: &str) -> Option<T> {
    let mut values = text.lines().filter_map(|line| {
        let line = line.trim_start().trim_start_matches('"');
        let rest = line.strip_prefix(key)?.trim_start_matches('"').trim_start();
        let word = rest.strip_prefix(':')?.split('#').next()?;
        word.trim_matches([' ', '"', '\'', ',', '\t', '\r'])
            .parse()
            .ok()
    });
    values.next_back()
}

/// Asks as a person would with curl.
fn healthz(at: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&at, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = format!("GET /healthz HTTP/1.0\r\nHost: {at}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut reply = Vec::new();
    stream.take(4096).read_to_end(&mut reply)?;
    let text = String::from_utf8_lossy(&reply);
    let mut words = text.split_whitespace();
    match (words.next(), words.next()) {
        (Some(_), Some("200")) => Ok(()),
        _ => Err(io::Error::other(
            text.lines().last().unwrap_or_default().to_owned(),
        )),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;
    use std::io::{self, Read, Write};
    use std::net::TcpListener;
    use std::time::{Duration, Instant};

    use super::{Kubelet, healthz, healthz_at};
    use crate::health::checks::Asked;
    use crate::health::systemd::Unit;
    use crate::root::Root;

    fn unit(process: u32, restarts: u32) -> Unit {
        Unit::read(&format!(
            "ActiveState=active\nNRestarts={restarts}\nMainPID={process}\nUnitFileState=enabled"
        ))
    }

    #[test]
    fn a_minute_without_a_restart() {
        let mut kubelet = Kubelet::default();
        let began = Instant::now();
        let mut ask = |process, seconds, health: io::Result<()>, has_joined| {
            let now = began + Duration::from_secs(seconds);
            match kubelet.judge(&unit(process, 0), Some(health), has_joined, now) {
                Asked::Yes => "yes",
                Asked::NotYet(_) => "not yet",
                Asked::Never(_) => "never",
            }
        };
        let refused = || Err(io::ErrorKind::ConnectionRefused.into());
        for (process, seconds, health, has_joined, expected) in [
            (1, 0, Ok(()), true, "not yet"),
            (1, 59, Ok(()), true, "not yet"),
            (2, 61, Ok(()), true, "not yet"),
            (2, 122, Err(io::Error::other("500")), true, "not yet"),
            (2, 122, Ok(()), true, "yes"),
            (2, 122, refused(), true, "not yet"),
            // It waits to be let in, or for an API server that is away.
            (2, 122, refused(), false, "yes"),
            (2, 400, refused(), true, "yes"),
            (2, 400, Err(io::Error::other("500")), true, "not yet"),
        ] {
            assert_eq!(
                ask(process, seconds, health, has_joined),
                expected,
                "{process} {seconds}"
            );
        }
        let dies = kubelet.judge(&unit(3, 5), None, true, began);
        assert!(matches!(dies, Asked::Never(_)));
        let off = Kubelet::default().judge(&Unit::default(), Some(refused()), true, began);
        assert_eq!(off, Asked::Yes);
    }

    #[test]
    fn its_port_is_where_its_configuration_says() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::open(directory.path()).unwrap();
        let at = || healthz_at(&root).map(|at| at.to_string());
        assert_eq!(at().as_deref(), Some("127.0.0.1:10248"));
        let write = |path: &str, text: &str| {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(
            "var/lib/kubelet/kubelet-config.yaml",
            "a: 1\nhealthzPort: 10250 # x\n",
        );
        assert_eq!(at().as_deref(), Some("127.0.0.1:10250"));
        write(
            "var/lib/kubelet/config.yaml",
            "{\n \"healthzBindAddress\": \"0.0.0.0\",\n}",
        );
        assert_eq!(at().as_deref(), Some("127.0.0.1:10250"));
        write(
            "etc/kubernetes/kubelet.conf.d/1.conf",
            "healthzBindAddress: '::1'\n",
        );
        assert_eq!(at().as_deref(), Some("[::1]:10250"));
        write("etc/kubernetes/kubelet.conf.d/2.conf", "healthzPort: 0\n");
        assert_eq!(at(), None);
    }

    #[test]
    fn its_answer() {
        for (reply, expected) in [("200 OK", true), ("500 Internal Server Error", false)] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let at = listener.local_addr().unwrap();
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 512];
                assert!(stream.read(&mut request).unwrap() > 20);
                write!(stream, "HTTP/1.0 {reply}\r\n\r\n200 OK\n").unwrap();
            });
            assert_eq!(healthz(at).is_ok(), expected, "{reply}");
            server.join().unwrap();
        }
    }
}
