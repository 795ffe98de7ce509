//! Packed streams, told apart by their first bytes: gzip
//! ([RFC 1952](https://www.rfc-editor.org/rfc/rfc1952), several members one
//! after the other), zstd ([RFC 8878](https://www.rfc-editor.org/rfc/rfc8878),
//! several frames), xz ([format](https://tukaani.org/xz/xz-file-format.txt),
//! several streams).

use std::io::{self, BufReader, Read};

/// What the decoder of an xz file may take; `xz -9` needs 65 MiB.
const XZ_MEMORY: u64 = 256 << 20;

/// How a stream is packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Packing {
    Gzip,
    Zstd,
    Xz,
}

impl Packing {
    /// `None` for what begins like none of them.
    pub fn of(head: &[u8]) -> Option<Packing> {
        Some(match head {
            [0x1f, 0x8b, ..] => Packing::Gzip,
            // A frame, or a skippable frame before it.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Packing::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Packing::Xz,
            _ => return None,
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Packing::Gzip => "gzip",
            Packing::Zstd => "zstd",
            Packing::Xz => "xz",
        }
    }

    /// What `from` unpacks to.
    pub fn decoder<'a>(self, from: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
        let from = BufReader::with_capacity(256 * 1024, from);
        Ok(match self {
            Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(from)),
            Packing::Zstd => Box::new(zstd::Decoder::with_buffer(from)?),
            Packing::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(
                    XZ_MEMORY,
                    liblzma::stream::CONCATENATED,
                )
                .map_err(io::Error::other)?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(from, stream))
            }
        })
    }
}
