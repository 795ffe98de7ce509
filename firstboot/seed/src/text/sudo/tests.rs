#![allow(clippy::unwrap_used)]
use super::check;

const GOOD: &[&str] = &[
    "ALL=(ALL) ALL",
    "ALL=(ALL) NOPASSWD:ALL",
    "ALL=(ALL) NOPASSWD: ALL",
    "ALL=(ALL:ALL) NOPASSWD : ALL",
    "ALL = (root) NOPASSWD: SETENV: /usr/bin/systemctl restart kubelet, /usr/bin/journalctl",
    "ALL=ALL",
    "ALL=(ALL) ALL # comment",
    "ALL=() /bin/ls",
    "ALL=(:adm) /bin/ls",
    "ALL=(root:adm) /bin/ls",
    "ALL=/bin/ls --color=auto",
    "ALL=(#1000, %wheel, !daemon : #20) /bin/ls",
    "ALL=(ALL) !/bin/su, /bin/",
    "n1, n2 = /bin/ls : 10.0.0.0/8 = /bin/cat",
    "!n1,n*=/bin/ls",
    "10.1.2.3=/bin/ls",
    "+hosts=/bin/ls",
    "ALL=/bin/ls \"\"",
    "ALL=/bin/ls -l --color\\=auto a\\:b a\\,b a\\\\b",
    "ALL=/bin/a\\ b c",
    "ALL=sudoedit /etc/hosts",
    "ALL=CWD=/tmp NOEXEC: /bin/ls",
    "ALL=(root) CHROOT=/srv CWD=~ /bin/ls",
    "ALL=(root) PRINTING, /bin/ls",
    "ALL=sha224:0123456789abcdef0123456789abcdef0123456789abcdef01234567 /bin/ls",
    "WEB = ADMIN",
];

const BAD: &[(&str, &str)] = &[
    ("", "begins with hosts"),
    ("nonsense rule", "no `=`"),
    ("# comment", "begins with hosts"),
    ("ALL", "no `=`"),
    ("ALL=", "a command is `ALL`"),
    ("=ALL", "begins with hosts"),
    ("ALL=(ALL)", "a command is `ALL`"),
    ("ALL=(ALL ALL", "without its `)`"),
    ("ALL=(ALL)) ALL", "a command is `ALL`"),
    ("ALL=(ALL) ALL,", "a command is `ALL`"),
    ("ALL=(ALL) NOPASSWD ALL", "a command is `ALL`"),
    ("ALL=(ALL) NOPASSWORD: ALL", "no `=`"),
    ("ALL=NOPASSWD: (ALL) ALL", "a command is `ALL`"),
    ("ALL=systemctl", "a command is `ALL`"),
    ("ALL=(ALL) systemctl restart x", "a command is `ALL`"),
    ("ALL=ALL ALL", "something follows"),
    ("ALL=ALL x", "something follows"),
    ("ALL=/bin/a=b", "does not take"),
    ("ALL=/", "does not take"),
    ("ALL=/bin/ls \\x", "needs none"),
    ("ALL=CWD=/tmp!/bin/su", "option"),
    ("ALL=/bin/ls = a", "a `=` at its beginning"),
    ("ALL=/bin/ls a=", "a `=` at its beginning"),
    ("ALL=sudoedit\\,/etc/hosts", "a command is `ALL`"),
    ("ALL=(sha224:ALL) ALL", "names a user or group"),
    ("ALL=/bin/a\\\\ b", "needs none"),
    ("ALL=(root:) /bin/ls", "names a user or group"),
    ("ALL=(root:%adm) /bin/ls", "names a user or group"),
    ("ALL=! ! /bin/ls", "a command is `ALL`"),
    ("ALL=!NOPASSWD: ALL=ALL", "a command is `ALL`"),
    ("ALL=ALL #1", "something follows"),
    ("ROLE=ALL", "begins with hosts"),
    ("ALL=(CWD) ALL", "names a user or group"),
    ("ALL=ROLE", "a command is `ALL`"),
    ("ALL=CWD=/tmp NOPASSWD:CWD=/tmp ALL", "a command is `ALL`"),
    (
        "ALL=sha224:0123456789abcdef0123456789abcdef0123456789abcdef01234567 WEB",
        "a command is `ALL`",
    ),
    ("ALL=/bin/ls a:b", "no `=`"),
    ("ALL=/bin/ x", "something follows"),
    ("ALL=(ALL) ALL\\", "something follows"),
    ("ALL=/bin/ls \\", "takes the next rule"),
    ("ALL=/bin/ls, , /bin/cat", "a command is `ALL`"),
    ("ALL,=/bin/ls", "begins with hosts"),
    ("/bin/ls", "begins with hosts"),
    ("ALL=(a b) ALL", "without its `)`"),
    ("ALL=(/bin/ls) ALL", "names a user"),
    ("ALL=(ALL)\u{b}ALL", "control characters"),
    ("ALL=(ALL) ALL\nroot ALL=x", "control characters"),
    ("ALL=/usr/bin/sudoedit /etc/hosts", "the word alone"),
    ("ALL=^/bin/.*$", "regular expression"),
    ("ALL=/bin/ls ^.*$", "regular expression"),
    ("ALL=sha224:0123 /bin/ls", "digest"),
    ("ALL=CWD=tmp /bin/ls", "option"),
    ("ALL=/bin/ls \"a", "without another"),
];

#[test]
fn rules_that_sudo_takes() {
    for rule in GOOD {
        assert_eq!(check(rule), Ok(()), "{rule}");
    }
}

#[test]
fn rules_that_would_lock_everybody_out() {
    for (rule, expected) in BAD {
        let reason = check(rule).err().unwrap_or_default();
        assert!(reason.contains(expected), "{rule}: {reason}");
    }
}

/// Numbers that look like chance and are the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % end
    }
}

const PIECES: [&str; 46] = [
    "ALL",
    "=",
    "(",
    ")",
    ":",
    ",",
    " ",
    "!",
    "/bin/ls",
    "/bin/",
    "NOPASSWD:",
    "root",
    "%adm",
    "#1000",
    "#",
    "+net",
    "sudoedit",
    "CWD=/tmp",
    "SETENV:",
    "\\",
    "\\,",
    "\"",
    "*",
    "ADMIN",
    "a",
    "-l",
    "/etc/hosts",
    "10.0.0.0/8",
    "fd00::1",
    "^",
    "$",
    "%",
    "%#20",
    "ROLE=a",
    "TIMEOUT=5",
    "sha224:",
    "ALL=(ALL) ",
    "ALL=(ALL:ALL) NOPASSWD: ",
    "host=",
    "[",
    "]",
    "?",
    "\t",
    "@",
    "_",
    "é",
];

/// Whatever passes here, a real `visudo -c` takes: good rules with a change, and soup.
#[test]
fn nothing_passes_that_visudo_refuses() {
    use std::process::Command;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rules");
    let visudo = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let ran = Command::new("visudo")
            .args(["-c", "-q", "-f"])
            .arg(&path)
            .output();
        ran.ok().map(|ran| ran.status.success())
    };
    if visudo("a ALL=ALL\n").is_none() {
        nodeimg_test_support::judge::missing("visudo");
        return;
    }
    let mut numbers = Numbers(88_172_645_463_325_252);
    let mut passed: Vec<String> = GOOD.iter().map(|rule| (*rule).to_owned()).collect();
    for _ in 0..30_000 {
        let mut rule = match numbers.below(3) {
            0 => String::new(),
            _ => GOOD[numbers.below(GOOD.len())].to_owned(),
        };
        for _ in 0..=numbers.below(4) {
            let mut at = numbers.below(rule.len() + 1);
            while !rule.is_char_boundary(at) {
                at -= 1;
            }
            rule.insert_str(at, PIECES[numbers.below(PIECES.len())]);
        }
        if check(&rule).is_ok() {
            passed.push(rule);
        }
    }
    assert!(passed.len() > 1000, "{}", passed.len());
    // All in one file; which of them it is, is asked for only if there is one.
    let all: String = passed.iter().map(|rule| format!("bob {rule}\n")).collect();
    if visudo(&all) != Some(true) {
        let bad: Vec<&String> = passed
            .iter()
            .filter(|rule| visudo(&format!("bob {rule}\n")) != Some(true))
            .take(20)
            .collect();
        panic!("visudo refuses {bad:#?}");
    }
}
