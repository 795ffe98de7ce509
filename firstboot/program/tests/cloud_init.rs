//! cloud-init as judge: for the keys that both read, Debian's cloud-init makes
//! the same of the same user-data. What differs by intent is in the table of
//! `docs/reference/first-boot/user-data.md`.
#![allow(clippy::unwrap_used, clippy::expect_used)]
mod common;

use std::io::Write;
use std::process::{Command, Stdio};

use common::Image;
use flate2::Compression;
use flate2::write::GzEncoder;
use nodeimg_test_support::seeds::{self, META_DATA};

const FILES: &str = "#cloud-config\nhostname: n\ntimezone: Europe/Berlin\nwrite_files:\n- {path: /etc/a, content: \"aGk=\\n\", encoding: base64, permissions: '0640'}\n- {path: /etc/b, content: !!binary aGk=, permissions: 0600}\n- {path: /etc/c, content: hi, permissions: \"0o755\"}\n- path: /etc/d\n  encoding: gz+b64\n  content: H4sIAIDb/U8C/1NW1E/KzNMvzuBKTc7IV8hIzcnJVyjPL8pJ4QIA6N+MVxsAAAA=\n- path: /etc/e\n  content: |\n    one\n      two\n\n- {path: /etc/f, content: a}\n- {path: /etc/f, content: b, append: true}\n- {path: /etc/g}\nruncmd:\n- echo \"a b\" > /x\n- [sh, -c, \"echo 'it''s' $X\", 7]\n-\n- 'cd /'\n";

const JINJA: &str = "## template: jinja\n#cloud-config\nhostname: '{{ v1.local_hostname }}'\nwrite_files:\n- path: /etc/a\n  content: |\n    {{ local_hostname }} {{ ds.meta_data.local_hostname | upper }} {{ v1['instance_id'] }}\n    {% for n in [1, 2, 3] %}\n    - {{ n }} {{ loop.index0 }}\n    {% endfor %}\n    {% if v1.local_hostname == 'other' and nope is not defined -%}\n      yes {{ nope | default('none') }}\n    {%- else %}\n    no\n    {% endif %}\n    {# gone #}\n    {{ 'a.b.c'.split('.')[1] }}{{ '7' | int + 1 }}{{ \"x\" ~ 1 }} {{ ['p', 'q'] | join('-') }} {{ 'ab' | replace('a', 'c') }}\nruncmd: [\"{% raw %}{{ x }}{% endraw %}\"]\n";

const MERGED: &str = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"B\"\n\n--B\nContent-Type: text/cloud-config\n\n#cloud-config\nhostname: first\nruncmd: [one]\nwrite_files: [{path: /etc/a, content: x}]\n--B\nContent-Type: text/cloud-config\n\n#cloud-config\nhostname: second\nmerge_how: 'list(append)+dict(no_replace,recurse_list)+str()'\nruncmd: [two]\n--B\nContent-Type: text/cloud-config\n\n#cloud-config\nfqdn: n.example\nwrite_files: [{path: /etc/b, content: y}]\n--B\nContent-Type: text/x-shellscript; charset=\"utf-8\"\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=\"s.sh\"\n\nIyEvYmluL3NoDQplY2hvIGhpDQo=\n--B--\n";

/// A header says how to merge what the part itself does not say: lists are joined, in the
/// order that the part asks for.
const BY_HEADER: &str = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=B\n\n--B\nContent-Type: text/cloud-config\n\nhostname: n\nwrite_files: [{path: /etc/a, content: x}]\n--B\nContent-Type: text/cloud-config\nMerge-Type: dict(recurse_list)+list(append)+str()\n\nwrite_files: [{path: /etc/b, content: y}]\n--B\nContent-Type: text/cloud-config\nX-Merge-Type: dict(recurse_list)+list(replace)\n\nmerge_how: list(prepend)\nwrite_files: [{path: /etc/a, content: z}]\n--B--\n";
const ARCHIVE: &str = "#cloud-config-archive\n- type: text/cloud-config\n  content: |\n    hostname: n\n    write_files: [{path: /etc/a, content: x}]\n- |\n  #!/bin/sh\n  echo hi\n- |\n  #cloud-config\n  runcmd: [[a, b]]\n";

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// What cloud-init makes of it; `None` if it is not installed.
fn judged(bytes: &[u8]) -> Option<serde_json::Value> {
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/judges/cloud_init.py"
    );
    let root = tempfile::tempdir().unwrap();
    let instance = serde_json::json!({
        "local_hostname": "other",
        "instance_id": "iid-0",
        "v1": {"local_hostname": "other", "instance_id": "iid-0"},
        "ds": {"meta_data": {"local-hostname": "other", "local_hostname": "other"}},
    });
    // Debian's packages are for Debian's python.
    let child = Command::new("/usr/bin/python3")
        .args(["-W", "ignore", script])
        .arg(root.path())
        .arg(instance.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let output = child.and_then(|mut child| {
        child.stdin.take().unwrap().write_all(bytes)?;
        child.wait_with_output()
    });
    let said = match output {
        Ok(output) if output.status.success() => {
            return serde_json::from_slice(&output.stdout).ok();
        }
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    let absent = said.contains("No module named 'cloudinit'") || said.contains("No such file");
    assert!(absent, "{said}");
    assert!(
        std::env::var_os("CI").is_none(),
        "in CI nothing is skipped: {said}"
    );
    println!("SKIPPED: cloud-init is missing");
    None
}

#[test]
fn cloud_init_agrees() {
    if !nix::unistd::Uid::effective().is_root() {
        println!("SKIPPED: cloud-init gives files to root, which takes root");
        return;
    }
    for (name, bytes) in [
        ("files", FILES.as_bytes().to_vec()),
        ("crlf", FILES.replace('\n', "\r\n").into_bytes()),
        ("gzip", gzip(FILES)),
        ("jinja", JINJA.as_bytes().to_vec()),
        ("merged", MERGED.as_bytes().to_vec()),
        ("by header", BY_HEADER.as_bytes().to_vec()),
        ("archive", ARCHIVE.as_bytes().to_vec()),
    ] {
        let Some(judged) = judged(&bytes) else { return };
        let image = Image::new();
        let settings = seeds::SETTINGS.replace("hard-way", "container-host");
        image.write("usr/lib/nodeimg/firstboot.json", settings);
        std::fs::remove_dir_all(image.path().join("usr/lib/nodeimg/templates")).unwrap();
        image.write("usr/share/zoneinfo/Europe/Berlin", "TZif");
        image.seed(&bytes, META_DATA);
        let ran = image.run(&[]);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{name}");
        let files = judged["files"].as_object().unwrap();
        assert!(!files.is_empty(), "{name}: {judged}");
        for (path, file) in files {
            let path = path.trim_start_matches('/');
            let mode = format!("0o{:o}", image.mode(path));
            assert_eq!(
                (file[0].as_str(), file[1].as_str()),
                (Some(mode.as_str()), Some(image.text(path).as_str())),
                "{name}: {path}"
            );
        }
        let runcmd = "var/lib/nodeimg/scripts/900-runcmd";
        let ours = image.has(runcmd).then(|| image.text(runcmd));
        assert_eq!(judged["runcmd"].as_str(), ours.as_deref(), "{name}");
        let scripts: Vec<String> = image
            .written()
            .iter()
            .filter_map(|line| line.split(' ').next())
            .filter(|path| path.starts_with("var/lib/nodeimg/scripts/") && *path != runcmd)
            .map(|path| image.text(path))
            .collect();
        assert_eq!(judged["scripts"], serde_json::json!(scripts), "{name}");
        let keys = &judged["keys"];
        let host = keys["fqdn"]
            .as_str()
            .filter(|_| keys["hostname"].is_null())
            .or(keys["hostname"].as_str());
        assert_eq!(image.text("etc/hostname").trim(), host.unwrap(), "{name}");
    }
}
