#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::{Command, UserData, read, shell_script};
use crate::contract::profile::hard_way;
use crate::read::user_data::{Content, Part};
use crate::text::problem::{Located, Problems};
use crate::text::secret::Secret;

fn run_parts(texts: &[&str]) -> (UserData, Vec<String>, bool) {
    let mut problems = Problems::new();
    let part = |(index, text): (usize, &&str)| Part {
        label: format!("u{}", index + 1),
        content: Content::CloudConfig {
            text: Secret::new((*text).to_owned()),
            merge: None,
        },
    };
    let parts = texts.iter().enumerate().map(part).collect();
    let data = read(parts, &hard_way::PROFILE, &mut problems).unwrap_or_default();
    let lines = problems.iter().map(ToString::to_string).collect();
    (data, lines, problems.has_errors())
}

fn run(text: &str) -> (UserData, Vec<String>, bool) {
    run_parts(&[text])
}

fn values(located: &[Located<String>]) -> Vec<&str> {
    located.iter().map(|text| text.value.as_str()).collect()
}

#[test]
fn host_names() {
    for text in [
        "#cloud-config\nhostname: n\n",
        "#cloud-config\n---\nhostname: n\n...\n",
        "#cloud-config\n{\"hostname\": \"n\"}",
        "hostname:\n  n\n",
    ] {
        let (data, problems, _) = run(text);
        assert_eq!(data.hostname.unwrap().value, "n", "{text:?}: {problems:?}");
        assert!(problems.is_empty(), "{text:?}: {problems:?}");
    }
}

#[test]
fn top_level_keys() {
    told(&[
        (
            "nonsense: [x]",
            "u1:1: nonsense: is not read by this version",
            false,
        ),
        (
            "packages: [x]",
            "packages: has no effect: no packages can be installed",
            false,
        ),
        ("password: SECRET", "u1:1: password: is not applied", false),
        (
            "chpasswd: {list: [SECRET]}",
            "chpasswd.list: is not applied",
            false,
        ),
        ("ssh_pwauth: yes", "ssh_pwauth: is not applied", false),
        ("hostname: no", "hostname: is a boolean", true),
        (
            "prefer_fqdn_over_hostname: maybe",
            "is text, not `true` or `false`",
            true,
        ),
        ("swap: {size: 1G}", "swap: would change disks", true),
        ("mounts: [[a, b]]", "mounts: would change disks", true),
        (
            "write-files: []",
            "is not a cloud-config key; write `write_files`",
            true,
        ),
        (
            "preserve_hostname: true",
            "preserve_hostname: has no effect",
            false,
        ),
    ]);
}

#[test]
fn keys_below() {
    told(&[
        ("runcmds: [a]", "did you mean `runcmd`?", false),
        ("runcmd: a", "runcmd: is text, not a list of commands", true),
        (
            "runcmd:\n- a: b",
            "u1:2: runcmd: is a mapping in YAML, not a command",
            true,
        ),
        (
            "runcmd:\n- [a, [b]]",
            "u1:2: runcmd: is a list, not text",
            true,
        ),
        ("runcmd: [[]]", "is an empty command", true),
        (
            "runcmd:\n-\n  - echo\n  -\n",
            "u1:4: runcmd: has a word that is nothing in YAML",
            true,
        ),
        ("runcmd: [[echo, ~]]", "has a word that is nothing", true),
        (
            "runcmd: [[echo, 0644]]",
            "runcmd: is a number in YAML",
            true,
        ),
        (
            "runcmd: [[echo, 1:30]]",
            "runcmd: is a number in YAML",
            true,
        ),
        (
            "runcmd: [[echo, 2024-01-01 00:00:00]]",
            "runcmd: is a time in YAML",
            true,
        ),
        (
            "runcmd: [[echo, yes]]",
            "runcmd: is a boolean in YAML",
            true,
        ),
        (
            "runcmd: [[echo, !!int '5']]",
            "runcmd: has the YAML tag `!!int`",
            true,
        ),
        (
            "runcmd: [!!binary aGk=]",
            "runcmd: has the YAML tag `!!binary`",
            true,
        ),
        (
            "runcmd: [5]",
            "runcmd: is a number in YAML, not a command",
            true,
        ),
        ("bootcmd: [true]", "bootcmd: is a boolean in YAML", true),
    ]);
}

#[test]
fn keys_of_files() {
    told(&[
        ("write_files: x", "is text, not a list of files", true),
        (
            "write_files: [{content: x}]",
            "is a file without `path`",
            true,
        ),
        (
            "write_files: [{path: /a, contents: x}]",
            "write_files.contents: is not read by this version and has no effect; did you mean `content`?",
            false,
        ),
        (
            "write_files: [{path: /a, permissions: 644}]",
            "is a decimal number in YAML",
            true,
        ),
        (
            "write_files: [{path: /a, permissions: '0999'}]",
            "is not a file mode",
            true,
        ),
        (
            "write_files: [{path: /a, permissions: '0'}]",
            "is not a file mode",
            true,
        ),
        (
            "write_files: [{path: /a, permissions: 'rwx'}]",
            "is not a file mode",
            true,
        ),
        (
            "write_files: [{path: /a, content: no}]",
            "is a boolean in YAML",
            true,
        ),
        (
            "write_files: [{path: /a, content: 0644}]",
            "write_files.content: is a number in YAML",
            true,
        ),
        (
            "write_files: [{path: /a, content: =}]",
            "write_files.content: is a special word in YAML",
            true,
        ),
        (
            "write_files: [{path: /a, owner: 10:10}]",
            "write_files.owner: is a number in YAML",
            true,
        ),
        (
            "write_files: [{path: /a, content: 'SECRET!', encoding: b64}]",
            "is not valid base64",
            true,
        ),
        (
            "write_files: [{path: /a, content: !!binary '@'}]",
            "is `!!binary` but not valid base64",
            true,
        ),
        (
            "write_files: [{path: /a, content: 'U0VDUkVU', encoding: gz+b64}]",
            "is gzip data that is truncated",
            true,
        ),
        (
            "write_files: [{path: /a, content: a, encoding: rot13}]",
            "is not a supported encoding",
            true,
        ),
        (
            "write_files: [{path: /a, source: {uri: 'http://x'}}]",
            "asks for remote content",
            true,
        ),
    ]);
}

#[test]
fn keys_of_users() {
    told(&[
        (
            "users: [{name: 0x10}]",
            "users.name: is a number in YAML",
            true,
        ),
        (
            "users: [{name: a, uid: 01750}]",
            "users.uid: is a number in YAML",
            true,
        ),
        ("users: [1_0]", "users: is a number in YAML", true),
        ("groups: [a: [0b1]]", "groups.a: is a number in YAML", true),
        (
            "ssh_authorized_keys: ['']",
            "ssh_authorized_keys: is empty and has no effect",
            false,
        ),
        (
            "users: [{name: a, ssh_authorized_keys: [~]}]",
            "users.ssh_authorized_keys: is empty",
            false,
        ),
        ("users: [{gecos: x}]", "is a user without `name`", true),
        (
            "users: [{name: a, passwd: SECRET}]",
            "users.passwd: is not applied",
            false,
        ),
        (
            "users: [{name: a, lock_passwd: false}]",
            "users.lock_passwd: is not applied",
            false,
        ),
        (
            "users: [{name: a, snapuser: x}]",
            "users.snapuser: is not read",
            false,
        ),
    ]);
}

#[test]
fn keys_of_services() {
    told(&[
        (
            "ntp: 99999999999999999999",
            "ntp: is text, not a mapping",
            true,
        ),
        ("ntp: {config: {}}", "ntp.config: is not read", false),
        ("ca_certs: [x]", "ca_certs: is a list, not a mapping", true),
        (
            "ca_certs: {trusted: [a]}\nca-certs: {trusted: [b]}",
            "u1:2: ca-certs: is another spelling of `ca_certs`",
            true,
        ),
        (
            "users: [{name: a, primary_group: a, primary-group: b}]",
            "is another spelling of `primary_group`",
            true,
        ),
        (
            "write_files: [{path: /a, content: a},\n  {path: /a, content: b}]",
            "u1:1: write_files.path: has no effect: a later item writes the same file",
            false,
        ),
        ("ca_certs: {trusted: [no]}", "is a boolean in YAML", true),
        ("users:", "users: is empty and has no effect", false),
        (
            "merge_how: 'list(grow)'",
            "is not a supported way to merge",
            true,
        ),
        ("manage_etc_hosts: no", "cannot be switched off", false),
        (
            "manage_etc_hosts: template",
            "manage_etc_hosts: has no effect",
            false,
        ),
        (
            "chpasswd: {expire: true}",
            "chpasswd.expire: is not applied",
            false,
        ),
        (
            "growpart: {devices: [/dev/sdb]}",
            "growpart.devices: has no effect",
            false,
        ),
        (
            "growpart: {wibble: 1}",
            "growpart.wibble: has no effect",
            false,
        ),
        (
            "ntp: {enabled: false, pools: [p]}",
            "ntp.pools: has no effect, since `ntp.enabled`",
            false,
        ),
        ("growpart: {mode: off}", "cannot be switched off", false),
        (
            "write_files: [{path: /k, content: '-----BEGIN EC PRIVATE KEY-----'}]",
            "has a private key and no `permissions`: others may read it",
            false,
        ),
        ("resize_rootfs: false", "cannot be switched off", false),
    ]);
    assert!(run("#cloud-config\n").1[0].contains("holds no keys"));
    assert!(run("- a\n").2 && run("a: [1\n").2);
}

#[track_caller]
fn told(cases: &[(&str, &str, bool)]) {
    for (text, expected, error) in cases {
        let (_, problems, errors) = run(text);
        let [problem] = problems.as_slice() else {
            panic!("{text}: {problems:?}")
        };
        assert!(problem.contains(expected), "{text}: {problem}");
        assert_eq!(errors, *error, "{text}: {problem}");
        assert!(!problem.contains("SECRET"), "{problem}");
    }
}

#[test]
fn nothing_to_say() {
    for text in [
        "chpasswd: {expire: false}",
        "ssh_pwauth: no",
        "manage_etc_hosts: true",
        "manage_etc_hosts: localhost",
        "growpart: {mode: auto, devices: [/]}",
        "vendor_data: {enabled: false}",
        "mounts: []",
        "package_upgrade: false",
        "preserve_hostname: no",
        "users: [default]",
        "users: []",
        "write_files: [{path: /k, content: '-----BEGIN PRIVATE KEY-----', permissions: '0644'}]",
        "write_files: [{path: /k, content: '-----BEGIN PUBLIC KEY-----'}]",
    ] {
        let (_, problems, _) = run(text);
        assert!(problems.is_empty(), "{text}: {problems:?}");
    }
}

#[test]
fn written_files() {
    let text = "write_files:\n- {path: /z, content: later, defer: true}\n- {path: /a, content: \"aGk=\\n\", encoding: base64, permissions: '0640', owner: 'a:b'}\n- {path: /b, content: x, append: true, permissions: 0600}\n- {path: /c, content: !!binary aGk=, permissions: \"0o755\"}\n- {path: /d, permissions: 0o400}\n- {path: /e, encoding: gzip, content: !!binary H4sIAIDb/U8C/1NW1E/KzNMvzuBKTc7IV8hIzcnJVyjPL8pJ4QIA6N+MVxsAAAA=}\n- {path: /f, content: '0644', permissions: '4711', encoding: text/plain}\n";
    let (data, problems, _) = run(text);
    assert!(problems.is_empty(), "{problems:?}");
    let found: Vec<String> = data
        .files
        .iter()
        .map(|file| {
            let text = String::from_utf8_lossy(file.content.expose()).into_owned();
            let owner = file
                .owner
                .as_ref()
                .map_or("-", |owner| owner.value.as_str());
            format!(
                "{} {:o} {owner} {} {text:?}",
                file.path.value, file.mode, file.append
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            "/a 640 a:b false \"hi\"",
            "/b 600 - true \"x\"",
            "/c 755 - false \"hi\"",
            "/d 400 - false \"\"",
            "/e 644 - false \"#!/bin/sh\\necho hello world\\n\"",
            "/f 4711 - false \"0644\"",
            "/z 644 - false \"later\"",
        ]
    );
}

#[test]
fn commands_become_one_script() {
    let text = "runcmd:\n- echo \"a b\" > /x\n- [sh, -c, \"echo 'it''s'\", 7]\n-\n- 'cd /'\n";
    let (data, problems, _) = run(text);
    assert!(problems.is_empty(), "{problems:?}");
    assert!(matches!(data.runcmd[0].value, Command::Shell(_)));
    assert_eq!(
        shell_script(&data.runcmd).expose(),
        "#!/bin/sh\necho \"a b\" > /x\n'sh' '-c' 'echo '\\''it'\\'''\\''s'\\''' '7'\ncd /\n"
    );
}

#[test]
fn accounts_and_services() {
    let text = "user: {name: me, sudo: 'ALL=(ALL) ALL'}\nssh_authorized_keys:\n- |\n  # mine\n  ssh-rsa A\n  ssh-rsa B\nusers:\n- default\n- a, b\n- name: c\n  sudo: false\n  groups: x, y\n  ssh-authorized-keys: [ssh-rsa C]\n  lock_passwd: true\n  no_create_home: true\ngroups:\n- g: [a, b]\n- h\n- i: x, y\n- j:\nntp: {enabled: on, servers: [s1], pools: p1}\ntimezone: Europe/Berlin\nca-certs: {remove-defaults: true, trusted: [PEM]}\n";
    let (data, problems, _) = run(text);
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(values(&data.ssh_keys), ["ssh-rsa A", "ssh-rsa B"]);
    assert_eq!(values(&data.default_user.unwrap().sudo), ["ALL=(ALL) ALL"]);
    let names: Vec<&str> = data
        .users
        .iter()
        .map(|user| user.name.value.as_str())
        .collect();
    assert_eq!(names, ["a", "b", "c"]);
    let c = &data.users[2];
    assert!(c.sudo.is_empty() && !c.create_home && values(&c.groups) == ["x", "y"]);
    assert_eq!(values(&c.ssh_keys), ["ssh-rsa C"]);
    let groups: Vec<(&str, usize)> = data
        .groups
        .iter()
        .map(|group| (group.name.value.as_str(), group.members.len()))
        .collect();
    assert_eq!(groups, [("g", 2), ("h", 0), ("i", 2), ("j", 0)]);
    let ntp = data.ntp.unwrap();
    assert_eq!(
        (values(&ntp.servers), values(&ntp.pools)),
        (vec!["s1"], vec!["p1"])
    );
    let ca = data.ca_certs.unwrap();
    assert!(ca.remove_defaults && values(&ca.trusted) == ["PEM"]);
    assert!(run("ntp: {enabled: false, servers: [a]}").0.ntp.is_none());
}

#[test]
fn later_parts_win_unless_they_say_otherwise() {
    let first = "hostname: a\nruncmd: [one]\nntp: {servers: [s1]}";
    let lost = "u1:2: runcmd: has no effect: u2 has the same key, which replaces it; `merge_how` in the later part can join them";
    let kept = "u2:2: runcmd: has no effect: that of u1 is kept";
    for (second, expected, warning) in [
        ("runcmd: [two]", "#!/bin/sh\ntwo\n", Some(lost)),
        ("runcmd: ['one']", "#!/bin/sh\none\n", None),
        (
            "merge_how: 'list(append)+dict(recurse_list)+str()'\nruncmd: [two]",
            "#!/bin/sh\none\ntwo\n",
            None,
        ),
        (
            "merge_type: [{name: list, settings: [prepend]}, {name: dict, settings: [recurse_list]}]\nruncmd: [two]",
            "#!/bin/sh\ntwo\none\n",
            None,
        ),
        (
            "merge_how: 'dict(no_replace)+list()+str()'\nruncmd: [two]",
            "#!/bin/sh\none\n",
            Some(kept),
        ),
    ] {
        let (data, problems, _) = run_parts(&[first, second]);
        let said: Vec<&str> = problems.iter().map(String::as_str).collect();
        assert_eq!(said, Vec::from_iter(warning), "{second}");
        assert_eq!(data.hostname.unwrap().value, "a");
        assert_eq!(shell_script(&data.runcmd).expose(), expected, "{second}");
    }
    let (_, problems, _) = run_parts(&[first, "hostname: no"]);
    assert!(
        problems[0].starts_with("u2:1: hostname: is a boolean"),
        "{problems:?}"
    );
    let deep = "merge_how: 'dict(recurse_dict,recurse_list)+list(append)'\nntp: {servers: [s2], pools: [p]}";
    let (data, ..) = run_parts(&[first, deep]);
    assert_eq!(values(&data.ntp.unwrap().servers), ["s1", "s2"]);
    let part = "merge_how: 'dict(recurse_dict)'\nntp: {servers: [s2], pools: [p]}";
    let (_, problems, _) = run_parts(&[first, part]);
    assert_eq!(
        problems,
        ["u2:2: ntp.servers: has no effect: that of u1 is kept"]
    );
}
