//! The PAM stacks that `pam-auth-update` would assemble from the modules here:
//! [pam.d(5)](https://manpages.debian.org/trixie/libpam-runtime/pam.d.5.en.html).
//! Without them neither login nor sshd lets anyone in.

use anyhow::Result;

use super::Base;

const STACKS: [(&str, &str); 6] = [
    (
        "common-auth",
        "auth [success=1 default=ignore] pam_unix.so\n\
         auth requisite pam_deny.so\n\
         auth required pam_permit.so\n",
    ),
    (
        "common-account",
        "account [success=1 new_authtok_reqd=done default=ignore] pam_unix.so\n\
         account requisite pam_deny.so\n\
         account required pam_permit.so\n",
    ),
    (
        "common-password",
        "password [success=1 default=ignore] pam_unix.so obscure yescrypt\n\
         password requisite pam_deny.so\n\
         password required pam_permit.so\n",
    ),
    (
        "common-session",
        "session [default=1] pam_permit.so\n\
         session requisite pam_deny.so\n\
         session required pam_permit.so\n\
         session required pam_unix.so\n\
         -session optional pam_systemd.so\n",
    ),
    (
        "common-session-noninteractive",
        "session [default=1] pam_permit.so\n\
         session requisite pam_deny.so\n\
         session required pam_permit.so\n\
         session required pam_unix.so\n",
    ),
    (
        "other",
        "@include common-auth\n\
         @include common-account\n\
         @include common-password\n\
         @include common-session\n",
    ),
];

pub fn stacks(base: &mut Base<'_>) -> Result<()> {
    if !base.has("/etc/pam.d")? {
        return Ok(());
    }
    for (name, text) in STACKS {
        base.file(&format!("/etc/pam.d/{name}"), text)?;
    }
    if base.has("/etc/security")? {
        base.file_of("/etc/security/opasswd", String::new(), 0o600, 0)?;
    }
    Ok(())
}
