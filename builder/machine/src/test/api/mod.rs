//! A fake Kubernetes API server on loopback: as much of one as a node needs to register.
//!
//! ```text
//!  serve    TLS, requests and their answers
//!  access   who calls (certificate, token), what they may    -> Caller
//!  route    /api/v1/nodes/NAME/status?watch=... and a method -> Route
//!  store    the request; wire: protobuf or JSON            -> answer: JSON
//!  kubeadm  what a cluster publishes for those who join it   -> ConfigMaps
//! ```
//!
//! It takes Nodes from `system:node:NAME` in `system:nodes` alone, signs the
//! requests of its bootstrap token for a kubelet's client certificate, holds
//! watches open, and keeps whatever else it is sent. Lists of anything else are
//! empty: no pods, no Services. When it acts as a cluster of
//! kubeadm, it has the ConfigMaps that `kubeadm join` reads.
//!
//! Paths are those of the
//! [API's reference](https://kubernetes.io/docs/reference/kubernetes-api/) alone.
//! Initial events of a watch come as
//! [streaming lists](https://kubernetes.io/docs/reference/using-api/api-concepts/#streaming-lists)
//! want them.
//!
//! # Invariants
//! - Nobody who has not proved who they are is told anything but how to discover
//!   a cluster of kubeadm.
//! - It listens on loopback; a guest of QEMU's user network reaches it there.
//!
//! Left out: authorization beyond that of `access`, patches of anything but a
//! Node's status, labels and annotations, everything that is not asked for by
//! kubelet, kube-proxy and `kubeadm join`.

mod access;
mod answer;
mod kubeadm;
mod route;
mod serve;
mod store;
mod wire;

use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};
use nodeimg_seed::text::secret::Secret;
use tokio::sync::{oneshot, watch};

pub use access::{ANONYMOUS, BOOTSTRAP};
pub use kubeadm::Cluster;
#[cfg(test)]
pub use store::SeenNode;
pub use store::Store;

use crate::pki::{Authority, Subject, Validity};

/// The address of this machine in QEMU's user network
/// ([its manual](https://www.qemu.org/docs/master/system/devices/net.html#using-the-user-mode-network-stack)).
pub const GATEWAY: &str = "10.0.2.2";

/// What all connections share.
struct Shared {
    authority: Authority,
    token: Secret,
    validity: Validity,
    store: Mutex<Store>,
    /// Raised with every change of the store.
    changed: watch::Sender<u64>,
    /// A line for each request.
    log: Mutex<File>,
}

impl Shared {
    fn store(&self) -> MutexGuard<'_, Store> {
        // A thread that panicked has left whole objects behind.
        self.store.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Who asked for what, and what came of it.
    fn note(&self, caller: &str, request: &str, status: u16) {
        let mut log = self.log.lock().unwrap_or_else(|e| e.into_inner());
        // A full disk does not make the node a bad one.
        let _ = writeln!(log, "{status} {caller} {request}");
    }

    fn touch(&self) {
        self.changed.send_modify(|count| *count += 1);
    }
}

/// A running server; dropped, it has ended.
pub struct Api {
    pub port: u16,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Api {
    /// With a certificate of this CA for [`GATEWAY`]; `token` may ask for client
    /// certificates. Every request is noted in `log`.
    pub fn start(
        authority: Authority,
        token: Secret,
        validity: Validity,
        log: File,
    ) -> Result<Api> {
        let subject = Subject {
            common_name: "kube-apiserver".to_owned(),
            addresses: vec![GATEWAY.parse()?, "127.0.0.1".parse()?],
            serves: true,
            ..Subject::default()
        };
        let own = authority.issue(&subject, validity)?;
        let tls = serve::tls(authority.cert(), &own)?;
        let context = "listening on loopback";
        let listener = TcpListener::bind(("127.0.0.1", 0)).context(context)?;
        listener.set_nonblocking(true).context(context)?;
        let port = listener.local_addr().context(context)?.port();
        let (changed, _) = watch::channel(0);
        let shared = Arc::new(Shared {
            authority,
            token,
            validity,
            store: Mutex::default(),
            changed,
            log: Mutex::new(log),
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("starting the runtime")?;
        let (stop, stopped) = oneshot::channel();
        let theirs = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve::serve(listener, tls, theirs) => {}
                    _ = stopped => {}
                }
            });
        });
        Ok(Api {
            port,
            shared,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Acts as a cluster of kubeadm from now on, which nodes reach at the URL `server`.
    pub fn publish(&self, cluster: &Cluster, server: &str) -> Result<()> {
        let (authority, token) = (&self.shared.authority, self.shared.token.expose());
        for (path, data) in cluster.config_maps(authority.cert(), server, token)? {
            self.shared.store().publish(&path, data);
        }
        Ok(())
    }

    /// What the server knows now.
    pub fn look<T>(&self, at: impl FnOnce(&Store) -> T) -> T {
        at(&self.shared.store())
    }

    /// Forgets the clients; the objects stay.
    pub fn forget(&self) {
        let mut store = self.shared.store();
        store.nodes.clear();
        store.callers.clear();
        store.signed.clear();
    }

    /// Forgets the Nodes themselves too, so that another machine may be one.
    pub fn forget_nodes(&self) {
        self.shared.store().remove("/api/v1/nodes");
    }

    /// Fires as soon as the store is as `wanted`; never if the server ends
    /// before.
    pub fn when(&self, wanted: impl Fn(&Store) -> bool + Send + 'static) -> oneshot::Receiver<()> {
        let (fire, fired) = oneshot::channel();
        let shared = Arc::downgrade(&self.shared);
        thread::spawn(move || {
            loop {
                let Some(shared) = shared.upgrade() else {
                    return;
                };
                if fire.is_closed() {
                    return;
                }
                if wanted(&shared.store()) {
                    let _ = fire.send(());
                    return;
                }
                drop(shared);
                thread::sleep(std::time::Duration::from_millis(100));
            }
        });
        fired
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
