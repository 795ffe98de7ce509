//! Kernel modules made in code.

/// What a module has in it.
#[derive(Clone, Default)]
pub struct Ko<'a> {
    /// `key=value`.
    pub info: &'a [&'a str],
    pub exports: &'a [&'a str],
    pub uses: &'a [&'a str],
    /// The kernel has modversions: exports are told by checksums' names, and
    /// what is used is told twice.
    pub versions: bool,
}

impl Ko<'_> {
    pub fn bytes(&self) -> Vec<u8> {
        let info = self.info.iter().flat_map(|entry| [entry.as_bytes(), b"\0"]);
        let exports = self
            .exports
            .iter()
            .flat_map(|name| [name.as_bytes(), b"\0"]);
        let (symbols, names) = self.symbols();
        let mut versions = Vec::new();
        for name in self.uses.iter().filter(|_| self.versions) {
            versions.extend([1, 2, 3, 4, 0, 0, 0, 0]);
            versions.extend_from_slice(name.as_bytes());
            versions.resize(versions.len().next_multiple_of(64), 0);
        }
        let parts: [(&str, Vec<u8>); 5] = [
            (".modinfo", info.flatten().copied().collect()),
            ("__ksymtab_strings", exports.flatten().copied().collect()),
            ("__versions", versions),
            (".symtab", symbols),
            (".strtab", names),
        ];
        file(&parts)
    }

    fn symbols(&self) -> (Vec<u8>, Vec<u8>) {
        let mut table = vec![0; 24];
        let mut names = vec![0];
        let crcs = self.exports.iter().filter(|_| self.versions);
        let crcs = crcs.map(|name| (format!("__crc_{name}"), 0xfff1u16));
        let uses = self.uses.iter().map(|name| ((*name).to_owned(), 0));
        for (name, section) in crcs.chain(uses) {
            table.extend((names.len() as u32).to_le_bytes());
            table.extend([0x10, 0]);
            table.extend(section.to_le_bytes());
            table.extend([0; 16]);
            names.extend_from_slice(name.as_bytes());
            names.push(0);
        }
        (table, names)
    }
}

fn file(parts: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut out = vec![0; 64];
    let mut names = vec![0];
    let mut headers = vec![0; 64];
    let mut section = |out: &mut Vec<u8>, names: &[u8], bytes: &[u8]| {
        headers.extend((names.len() as u32).to_le_bytes());
        headers.extend([1, 0, 0, 0]);
        headers.extend([0; 16]);
        headers.extend((out.len() as u64).to_le_bytes());
        headers.extend((bytes.len() as u64).to_le_bytes());
        headers.resize(headers.len().next_multiple_of(64), 0);
        out.extend_from_slice(bytes);
    };
    for (name, bytes) in parts {
        section(&mut out, &names, bytes);
        names.extend_from_slice(name.as_bytes());
        names.push(0);
    }
    let mut all = names.clone();
    all.extend_from_slice(b".shstrtab\0");
    section(&mut out, &names, &all);
    let at = out.len() as u64;
    out.extend(headers);
    out[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    out[16] = 1;
    out[18] = 62;
    out[20] = 1;
    out[40..48].copy_from_slice(&at.to_le_bytes());
    for (place, value) in [(52, 64u16), (58, 64), (60, 7), (62, 6)] {
        out[place..place + 2].copy_from_slice(&value.to_le_bytes());
    }
    out
}
