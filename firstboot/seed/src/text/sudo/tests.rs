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
