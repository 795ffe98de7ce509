//! The rest of a maintainer script without the parts that every script has.

/// debhelper's tools whose parts of a script are taken for known: what they do
/// is done for every package alike, or nothing of a fresh image needs it.
const TOOLS: [(&str, &str); 13] = [
    ("dh_installdeb", "files renamed since an older version"),
    ("dh_installdebconf", "there are no debconf answers"),
    ("dh_installinit", "no service is an init script"),
    ("dh_installinitramfs", "the initrd is made with the image"),
    ("dh_installmenu", "there are no menus"),
    (
        "dh_installmodules",
        "the module index is made with the image",
    ),
    ("dh_installsystemd", "the preset decides which units run"),
    ("dh_installsystemduser", "the same for users' units"),
    (
        "dh_installsysusers",
        "accounts are made from all of sysusers.d",
    ),
    ("dh_installtmpfiles", "tmpfiles.d is applied at every boot"),
    ("dh_makeshlibs", "libraries are found without ld.so.cache"),
    ("dh_python3", "byte code is compiled if it is missing"),
    ("dh_runit", "another init"),
];
const SECTION: &str = "# Automatically added by ";
const SECTION_END: &str = "# End automatically added section";
/// Lines that do nothing by themselves, as does an interest in a trigger: what
/// is done about it is in the postinst. The triggers are those that the tools
/// above stand for.
const IDLE: [&str; 7] = [
    ":",
    "activate-noawait ldconfig",
    "activate-noawait update-initramfs",
    "exit 0",
    "set -e",
    "set -eu",
    "true",
];

/// The lines of `script` that do something, without comments, indentation and
/// debhelper's own parts. `None` if nothing does.
pub fn remains(script: &str) -> Option<Vec<&str>> {
    let lines: Vec<&str> = script.lines().map(str::trim).collect();
    let mut left = Vec::new();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        if let Some(len) = known_section(&lines[at..]) {
            at += len;
        } else if let Some(len) = known_helper(&lines[at..]) {
            at += len;
        } else {
            if !line.is_empty() && !line.starts_with('#') {
                left.push(*line);
            }
            at += 1;
        }
    }
    let idle = |line: &&str| IDLE.contains(line) || line.starts_with("interest");
    (!left.iter().all(idle)).then_some(left)
}

/// How many lines the part of a known tool takes that begins here.
fn known_section(lines: &[&str]) -> Option<usize> {
    let tool = lines.first()?.strip_prefix(SECTION)?;
    let tool = tool.split_once('/').map_or(tool, |(tool, _version)| tool);
    if !TOOLS.iter().any(|(known, _)| *known == tool) {
        return None;
    }
    let end = lines.iter().position(|line| *line == SECTION_END)?;
    Some(end + 1)
}

/// How many lines a call of dpkg-maintscript-helper takes that begins here: it
/// renames files of a version that was installed before.
fn known_helper(lines: &[&str]) -> Option<usize> {
    if !lines.first()?.starts_with("dpkg-maintscript-helper ") {
        return None;
    }
    let more = lines.iter().take_while(|line| line.ends_with('\\')).count();
    let call = lines.get(..=more)?;
    let alone =
        |line: &&str| !line.contains([';', '|', '&', '`', '<', '>']) && !line.contains("$(");
    call.iter().all(alone).then_some(more + 1)
}
