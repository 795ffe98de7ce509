//! What the kernel reports about its devices: messages of `NETLINK_KOBJECT_UEVENT`.
//!
//! ```text
//! "add@/devices/pci0000:00/..." NUL "ACTION=add" NUL "SUBSYSTEM=pci" NUL "MODALIAS=pci:v..." NUL
//! ```
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};

/// Larger than any message: the kernel's own buffer is 2 KiB.
const MESSAGE: usize = 8192;
/// The kernel's group; udev has its own.
const GROUP: u32 = 1;

pub(crate) struct Events(OwnedFd);

/// The messages received.
#[derive(Default, Debug, PartialEq, Eq)]
pub(crate) struct News {
    /// Aliases of hardware that was added.
    pub(crate) aliases: Vec<String>,
    /// Whether the kernel has dropped messages.
    pub(crate) is_partial: bool,
    /// Whether there was no message of any kind.
    pub(crate) is_silent: bool,
}

impl Events {
    pub(crate) fn listen() -> nix::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let protocol = SockProtocol::NetlinkKObjectUEvent;
        let socket = socket(AddressFamily::Netlink, SockType::Datagram, flags, protocol)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, GROUP))?;
        Ok(Self(socket))
    }

    /// All pending messages, after a wait for the first one.
    pub(crate) fn wait(&self, limit: Duration) -> News {
        let timeout = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
        let mut wanted = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        // Interrupted or not: pending messages are read, and the caller waits again.
        let _count = poll(&mut wanted, timeout);
        let mut news = News {
            is_silent: true,
            ..News::default()
        };
        let mut message = [0; MESSAGE];
        loop {
            match recv(self.0.as_raw_fd(), &mut message, MsgFlags::empty()) {
                Ok(length) => {
                    news.is_silent = false;
                    news.aliases.extend(alias_in(&message[..length]));
                }
                Err(Errno::ENOBUFS) => {
                    news.is_silent = false;
                    news.is_partial = true;
                }
                Err(Errno::EINTR) => {}
                Err(_) => return news,
            }
        }
    }
}

fn alias_in(message: &[u8]) -> Option<String> {
    let mut parts = message.split(|byte| *byte == 0);
    let is_gone = parts.next()?.starts_with(b"remove@");
    let alias = parts.find_map(|part| part.strip_prefix(b"MODALIAS="))?;
    (!is_gone).then(|| String::from_utf8_lossy(alias).into_owned())
}

#[cfg(test)]
mod tests {
    use super::alias_in;

    #[test]
    fn an_alias_of_what_was_added() {
        for (message, expected) in [
            (
                "add@/devices/x\0ACTION=add\0MODALIAS=virtio:d00000002v00001AF4\0SEQNUM=1\0",
                Some("virtio:d00000002v00001AF4"),
            ),
            ("remove@/devices/x\0ACTION=remove\0MODALIAS=a:b\0", None),
            ("add@/devices/vda\0ACTION=add\0SUBSYSTEM=block\0", None),
            ("", None),
        ] {
            assert_eq!(
                alias_in(message.as_bytes()).as_deref(),
                expected,
                "{message}"
            );
        }
    }
}
