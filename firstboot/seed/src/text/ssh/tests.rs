//! The keys were made with ssh-keygen for this test; nobody has their private halves.
#![allow(clippy::unwrap_used)]
use super::check;

const GOOD: &[&str] = &[
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFvrLlM4xIJ4HlqcoVZ4LRY8psjG9qODJgOiGKswIanV test",
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQD7ZAjlDTSV7ORKjwex61R5dJX30lQAPHDZWJpHL6tAOgv9gGAvBX7vkXQ/7mNBP8UO662gk5hBplWDaxdMsQMe5PmIFtOAvsmdxhXyBGOVdiYeLtpbQNO7oHi8T7ksmemK/F1GqpWQOyXGrpF/xbvJf3uw8LArjoGLNBrHlpuYHw== test",
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHD/CzkcDEIFLf1mgOuNtVME3miurBQrlbim/XOyXkpPsKcrZh1DmpgooRGL04ONnedvX0htUXA/vCPc60xyFAk= test",
    "ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBPKFOSgN2Gr6u9iVsXm0B2Eolq6pbQd087woqz1PIkw/uRPJUVjcyq3+jBJQgEoYiL+kfBaGesyRF8aOHs3HBA+7ndvmtS+SKOtZizU7MdKOi4E/K4B831Za/pT9P4SF5w== test",
    "ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBAAjMupf/5hNDKCO3MAl7g8MCr0HaKi591L82THKi0dPws/kDsP0yJvQh4U1mYegKf6BkRyZIenc76DIgbryTtlc3QDckoQzpBmTZ1SCSmnhnu1bKuiBMIApuOGmps6kikXqF6qa1EFgWyS3Un09ffFBPTXfBJokRNIMH0K8a5gAlxjjrQ== test",
    "ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAICA06smBBqqQwR64VYssh7IFBeQ3oizPDq4DCqmwozSnAAAAIKNiLCR/mYnmp2kcpNutm6TebRgZlLe3gXu39aUuxKFQAAAAAAAAAAAAAAABAAAAAmlkAAAACAAAAARyb290AAAAAAAAAAD//////////wAAAAAAAACCAAAAFXBlcm1pdC1YMTEtZm9yd2FyZGluZwAAAAAAAAAXcGVybWl0LWFnZW50LWZvcndhcmRpbmcAAAAAAAAAFnBlcm1pdC1wb3J0LWZvcndhcmRpbmcAAAAAAAAACnBlcm1pdC1wdHkAAAAAAAAADnBlcm1pdC11c2VyLXJjAAAAAAAAAAAAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIG6QcGD/WKqMHaOQZSgEULWPp1Gu6CADPEhgrIYukBX/AAAAUwAAAAtzc2gtZWQyNTUxOQAAAECIurbJyn//JL+a9C1Xk6k8GeKyWEgSFjo+o78vNjAQk4L937tq2OTyFBif5AepofY4Lc+CzVjh1U8p8UCcrvgJ c",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFvrLlM4xIJ4HlqcoVZ4LRY8psjG9qODJgOiGKswIanV",
    "command=\"echo \\\"a b\\\", c\",no-pty ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFvrLlM4xIJ4HlqcoVZ4LRY8psjG9qODJgOiGKswIanV with options",
    "restrict ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFvrLlM4xIJ4HlqcoVZ4LRY8psjG9qODJgOiGKswIanV with options",
    "no-X11-forwarding,FROM=\"10.0.0.0/8\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFvrLlM4xIJ4HlqcoVZ4LRY8psjG9qODJgOiGKswIanV with options",
    "cert-authority,principals=\"a,b\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFvrLlM4xIJ4HlqcoVZ4LRY8psjG9qODJgOiGKswIanV with options",
    "environment=\"A=b\",expiry-time=\"20400101\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFvrLlM4xIJ4HlqcoVZ4LRY8psjG9qODJgOiGKswIanV with options",
    "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAAAABHNzaDo= sk",
    "sk-ecdsa-sha2-nistp256@openssh.com AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3BlbnNzaC5jb20AAAAIbmlzdHAyNTYAAABBBHD/CzkcDEIFLf1mgOuNtVME3miurBQrlbim/XOyXkpPsKcrZh1DmpgooRGL04ONnedvX0htUXA/vCPc60xyFAkAAAAEc3NoOg==",
];

const BAD: &[(&str, &str)] = &[
    ("ssh-ed25519 notbase64!!!!!!!!!!!!!!!", "not valid base64"),
    ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEEE x", "truncated"),
    ("ssh-ed25519", "of another type"),
    (
        "x ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFvrLlM4xIJ4HlqcoVZ4LRY8psjG9qODJgOiGKswIanV",
        "neither a type of key nor with options",
    ),
    (
        "pty=no ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFvrLlM4xIJ4HlqcoVZ4LRY8psjG9qODJgOiGKswIanV",
        "neither",
    ),
    (
        "command=/bin/true ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFvrLlM4xIJ4HlqcoVZ4LRY8psjG9qODJgOiGKswIanV",
        "neither",
    ),
    (
        "command=\"/bin/true ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFvrLlM4xIJ4HlqcoVZ4LRY8psjG9qODJgOiGKswIanV",
        "neither",
    ),
    (
        "no-pty, no-user-rc ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFvrLlM4xIJ4HlqcoVZ4LRY8psjG9qODJgOiGKswIanV",
        "neither",
    ),
    (
        "no-pty x AAAAC3NzaC1lZDI1NTE5AAAAIFvrLlM4xIJ4HlqcoVZ4LRY8psjG9qODJgOiGKswIanV",
        "no type of key",
    ),
    (
        "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIFvrLlM4xIJ4HlqcoVZ4LRY8psjG9qODJgOiGKswIanV",
        "of another type",
    ),
    (
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAHwEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
        "damaged",
    ),
    (
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAAAAAA==",
        "behind its end",
    ),
    ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", "truncated"),
    (
        "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAQH9/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f38=",
        "length",
    ),
    (
        "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAzODQAAABBBHD/CzkcDEIFLf1mgOuNtVME3miurBQrlbim/XOyXkpPsKcrZh1DmpgooRGL04ONnedvX0htUXA/vCPc60xyFAk=",
        "damaged",
    ),
    (
        "ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB",
        "truncated",
    ),
    (
        "ssh-ed448 AAAAC3NzaC1lZDI1NTE5AAAAIFvrLlM4xIJ4HlqcoVZ4LRY8psjG9qODJgOiGKswIanV",
        "neither",
    ),
    ("", "neither"),
];

#[test]
fn keys_that_sshd_takes() {
    for line in GOOD {
        assert_eq!(check(line), Ok(()), "{line}");
    }
}

#[test]
fn keys_that_let_nobody_in() {
    for (line, expected) in BAD {
        let reason = check(line).unwrap_err().reason;
        assert!(reason.contains(expected), "{line}: {reason}");
    }
    let line = format!("{}\nssh-rsa AAAA", GOOD[0]);
    assert!(check(&line).is_err_and(|flaw| flaw.reason.contains("line break")));
}

#[test]
fn a_damaged_key_is_told_from_what_never_was_one() {
    let key = GOOD[0].split(' ').nth(1).unwrap();
    for (line, expected) in [
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHeldout x", true),
        ("no-pty ssh-rsa AAAAB3NzaC1....sIkJ ubuntu@server", true),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", true),
        ("ssh-ed25519 AAAAC3Nz", true),
        (&format!("ssh-ed25519 {key}AAAA"), true),
        ("ssh-ed25519 AAAA", false),
        ("ssh-ed25519 notbase64!!!!!!!!!!!!!!!", false),
        ("ssh-ed25519", false),
        (&format!("ssh-rsa {key}"), false),
        (&format!("x ssh-ed25519 {key}"), false),
        (&format!("no-pty x {key}"), false),
    ] {
        let flaw = check(line).unwrap_err();
        assert_eq!(flaw.is_damaged_key, expected, "{line}: {}", flaw.reason);
    }
}
