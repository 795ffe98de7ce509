#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Content, parts};
use crate::text::jinja::Value;
use crate::text::problem::Problems;
use crate::text::yaml;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// `kind label text` of each part, and the problems.
fn run(bytes: &[u8]) -> (Option<Vec<String>>, Vec<String>) {
    let data = "local_hostname: n\nds: {meta_data: {local-hostname: n}}\n";
    let data = Value::of_yaml(&yaml::parse(data).unwrap().unwrap());
    let mut problems = Problems::new();
    let found = parts("u", bytes, &data, &mut problems);
    let shown = |part: super::Part| match part.content {
        Content::CloudConfig { text, merge } => {
            let merge = merge.as_ref().map(|merge| format!("[{merge}] "));
            format!(
                "config {} {}{}",
                part.label,
                merge.unwrap_or_default(),
                text.expose()
            )
        }
        Content::Script { name, text } => {
            format!("script {} {name:?} {}", part.label, text.expose())
        }
    };
    let found = found.map(|parts| parts.into_iter().map(shown).collect());
    (found, problems.iter().map(ToString::to_string).collect())
}

const MULTIPART: &str = "Content-Type: multipart/mixed;\n boundary=\"==B==\"\nMIME-Version: 1.0\n\nfor old readers\n--==B==\nContent-Type: text/cloud-config; charset=\"us-ascii\"\n\n#cloud-config\na: 1\n\n--==B==\nContent-Type: text/x-shellscript\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=\"../a b.sh\"\n\nIyEvYmluL3NoCmVjaG8g\naGkK\n--==B==--\n";

#[test]
fn forms() {
    let nested = format!(
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=O\r\n\r\n--O\r\n{}\r\n--O--\r\n",
        MULTIPART.replace('\n', "\r\n")
    );
    let packed = gzip(&gzip(b"#cloud-config\na: 1\n"));
    let zipped_part = format!(
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=O\n\n--O\nContent-Type: application/gzip\nContent-Transfer-Encoding: base64\n\n{}\n--O--\n",
        STANDARD.encode(gzip(b"#!/bin/sh\r\ntrue\r\n"))
    );
    let quoted = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=O\n\n--O\nContent-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n#cloud-config\na: =C3=\n=A9=20=zz==\n--O--\n";
    for (bytes, expected) in [
        (&b"#cloud-config\na: 1\n"[..], &["config u #cloud-config\na: 1\n"][..]),
        (
            b"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=O\n\n--O\nX-Merge-Type: list(append)\nContent-Type: text/cloud-config\n\na: 1\n--O--\n",
            &["config u part 1 [list(append)] a: 1"],
        ),
        (
            b"#cloud-config-archive\n- {type: text/cloud-config, Merge-Type: str(), content: 'a: 1'}\n",
            &["config u part 1 [str()] a: 1"],
        ),
        (b"\xef\xbb\xbf\n #cloud-config # x\r\na: 1", &["config u \n #cloud-config # x\r\na: 1"]),
        (b"", &[]),
        (b" \n\n", &[]),
        (&packed, &["config u #cloud-config\na: 1\n"]),
        (
            b"## template: jinja\n#cloud-config\nname: {{ local_hostname }}\n",
            &["config u \n#cloud-config\nname: n\n"],
        ),
        (b"#!/bin/sh -e\r\necho hi\r\n", &["script u None #!/bin/sh -e\necho hi\n"]),
        (b"#!/bin/sh\necho 'a\r\n'\n", &["script u None #!/bin/sh\necho 'a\r\n'\n"]),
        (
            MULTIPART.as_bytes(),
            &["config u part 1 #cloud-config\na: 1\n", "script u part 2 (a_b.sh) Some(\"a_b.sh\") #!/bin/sh\necho hi\n"],
        ),
        (
            nested.as_bytes(),
            &[
                "config u part 1 part 1 #cloud-config\r\na: 1\r\n",
                "script u part 1 part 2 (a_b.sh) Some(\"a_b.sh\") #!/bin/sh\necho hi\n",
            ],
        ),
        (zipped_part.as_bytes(), &["script u part 1 None #!/bin/sh\ntrue\n"]),
        (quoted.as_bytes(), &["config u part 1 #cloud-config\na: é =zz="]),
        (
            b"From nobody Fri Aug 31 17:17:00 2012\nContent-Type: text/plain\nMIME-Version: 1.0\n\n\n#cloud-config\nb: c\n",
            &["config u part 1 \n#cloud-config\nb: c\n"],
        ),
        (
            b"#cloud-config-archive\n- type: text/cloud-config\n  content: |\n    a: 1\n- |\n  #!/bin/sh\n  true\n",
            &["config u part 1 a: 1\n", "script u part 2 None #!/bin/sh\ntrue\n"],
        ),
        (
            b"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=O\n\n--O\nContent-Type: text/jinja2\n\n## template: jinja\n#cloud-config\nn: {{ local_hostname }}\n--O--\n",
            &["config u part 1 \n#cloud-config\nn: n"],
        ),
    ] {
        let (found, problems) = run(bytes);
        let text = String::from_utf8_lossy(bytes);
        assert_eq!(found.as_deref().unwrap_or_default(), expected, "{text}: {problems:?}");
        assert!(found.is_some() && problems.is_empty(), "{text}: {problems:?}");
    }
}

/// It would be half of what was asked for, were nothing said.
#[test]
fn parts_for_one_machine_of_several_are_told() {
    for bytes in [
        "Content-Type: text/plain\nMIME-Version: 1.0\nLaunch-Index: 5\n\n#cloud-config\nb: c\n",
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=O\n\n--O\nlaunch-index: 0\n\n#cloud-config\n--O--\n",
        "#cloud-config-archive\n- {type: text/cloud-config, launch-index: 1, content: 'a: 1'}\n",
    ] {
        let (found, problems) = run(bytes.as_bytes());
        assert_eq!(found.map(|parts| parts.len()), Some(1), "{bytes}");
        let [problem] = problems.as_slice() else {
            panic!("{bytes}: {problems:?}")
        };
        assert!(
            problem.contains("u part 1: has a `Launch-Index`, which is ignored"),
            "{problem}"
        );
    }
}

/// Of the whole message, where they have no effect.
#[test]
fn headers_of_all_parts_together_are_told() {
    for header in ["Merge-Type", "X-Merge-Type", "Launch-Index"] {
        let text = MULTIPART.replacen("MIME-Version", &format!("{header}: 1\nMIME-Version"), 1);
        let (found, problems) = run(text.as_bytes());
        assert_eq!(found.map(|parts| parts.len()), Some(2), "{header}");
        let told = format!("u: has a `{header}`, which is ignored: it holds several parts");
        assert!(
            problems.len() == 1 && problems[0].starts_with(&told),
            "{problems:?}"
        );
    }
}

/// A part of this type.
fn typed(kind: &str, body: &str) -> String {
    format!(
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=O\n\n--O\nContent-Type: {kind}\n\n{body}\n--O--\n"
    )
}

#[test]
fn refused_by_name() {
    let cut = MULTIPART.replace("--==B==--", "");
    let damaged = &gzip(b"#cloud-config\n")[..12];
    refused(&[
        (damaged, "u:1: is gzip data that is truncated"),
        (b"\xff\xfe#\0", "is UTF-16"),
        (b"\xfe\xff\0#", "is UTF-16"),
        (b"#cloud-config\nhostname: \xff\n", "u:2: is not UTF-8"),
        (
            b"## template: basic\n#cloud-config\n",
            "an engine other than jinja",
        ),
        (
            b"## template: jinja\n#cloud-config\na: {{ local_hostnam }}\n",
            "u:3: asks for `local_hostnam`",
        ),
        (b"## template: jinja\nnonsense\n", "is in an unknown format"),
        (b"#!bin/bash\r\n", "not an absolute path"),
        (b"#include\nhttps://x\n", "`#include` list"),
        (b"#cloud-boothook\n", "use `bootcmd`"),
        (b"#part-handler\n", "`#part-handler`"),
        (b"#cloud-config-jsonp\n", "jsonp"),
        (
            b"Content-Type: multipart/mixed; boundary=x\n",
            "without a `MIME-Version:`",
        ),
        (cut.as_bytes(), "does not end"),
        (b"# cloud-config\nhostname: n\n", "almost `#cloud-config`"),
        (b"#Cloud-Config\nhostname: n\n", "almost `#cloud-config`"),
        (b"#cloud-config\\nhostname: n\\n", "`\\n` written out"),
        (b"hostname: n\n", "does not begin with `#cloud-config`"),
        (b"I2Nsb3VkLWNvbmZpZwpob3N0bmFtZTogbgo=\n", "is base64"),
        (b"{\"ignition\": {}}", "Ignition"),
        (b"just words", "is in an unknown format"),
    ]);
}

#[test]
fn parts_are_refused_by_name() {
    refused(&[
        (
            b"MIME-Version: 1.0\nContent-Type: multipart/mixed\n\n",
            "without a `boundary`",
        ),
        (
            b"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=B\n\n--B--\n",
            "holds no parts",
        ),
        (
            typed("text/x-include-url", "http://x").as_bytes(),
            "u part 1: is an `#include` list",
        ),
        (
            typed("text/part-handler", "x").as_bytes(),
            "u part 1: has a content type `text/part-handler`",
        ),
        (
            typed("text/plain", "nothing known").as_bytes(),
            "u part 1:1: is in an unknown format",
        ),
        (
            typed("text/x-shellscript", "echo hi").as_bytes(),
            "without `#!`",
        ),
        (
            b"#cloud-config-archive\na: 1\n",
            "is an archive that is a mapping",
        ),
        (
            b"#cloud-config-archive\n- {type: text/cloud-config}\n",
            "without text in `content`",
        ),
        (
            b"#cloud-config-archive\n- {content: a,\n  sort: b}\n",
            "u:3: has an item with the unknown key `sort`",
        ),
        (
            b"#cloud-config-archive\n- {type: text/cloud-config, content: '#cloud-config\\nhostname: n'}\n",
            "u part 1:1: has `\\n` written out",
        ),
        (
            b"#cloud-config-archive\n- {type: text/cloud-config, content: '#cloud-config\\r\\nhostname: n'}\n",
            "u part 1:1: has `\\n` written out",
        ),
        (
            b"#cloud-config-archive\n- '#!/bin/sh\\ntouch /x'\n",
            "u part 1:1: has `\\n` written out",
        ),
        (
            b"#cloud-config-archive\n- {type: text/jinja2, content: '## template: jinja\\n#cloud-config'}\n",
            "u part 1:1: has `\\n` written out",
        ),
        (
            typed("text/jinja2", "#cloud-config").as_bytes(),
            "does not begin as a template",
        ),
        (
            typed("text/cloud-config", "#cloud-config\\nhostname: n").as_bytes(),
            "u part 1:1: has `\\n` written out",
        ),
        (
            b"#cloud-config-archive\n- {content: !!binary aGk=}\n",
            "u:2: has a YAML tag",
        ),
        (b"#cloud-config-archive\n[", "u:2: is not valid YAML"),
    ]);
}

#[track_caller]
fn refused(cases: &[(&[u8], &str)]) {
    for (bytes, expected) in cases {
        let (found, problems) = run(bytes);
        assert!(found.is_none(), "{expected}");
        let [problem] = problems.as_slice() else {
            panic!("{expected}: {problems:?}")
        };
        assert!(problem.contains(expected), "{expected}: {problem}");
    }
}

#[test]
fn bombs_end_soon() {
    let mut deep = b"#cloud-config\n".to_vec();
    for _ in 0..50 {
        deep = gzip(&deep);
    }
    let mut nested = String::from("#cloud-config\n");
    for level in 0..300 {
        nested = format!(
            "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=B{level}\n\n--B{level}\n{nested}\n--B{level}--\n"
        );
    }
    let many = "--B\n\n#!/bin/sh\n".repeat(100_000);
    let many =
        format!("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=B\n\n{many}--B--\n");
    let parameters = format!(
        "MIME-Version: 1.0\nContent-Type: multipart/mixed{}\n\n",
        ";a=b".repeat(500_000)
    );
    for bytes in [
        gzip(&vec![0; 1 << 28]),
        deep,
        nested.into_bytes(),
        many.into_bytes(),
        parameters.into_bytes(),
    ] {
        let begun = std::time::Instant::now();
        let (found, problems) = run(&bytes);
        assert!(found.is_none() && !problems.is_empty());
        assert!(begun.elapsed().as_secs() < 60, "{problems:?}");
    }
}
