use std::process::Command;
use std::thread;
use std::time::Duration;

use super::{Case, Ran, try_all};
use nodeimg_test_support::archive::sha256;
use nodeimg_test_support::faulty_server::{Answer, Fault, faulty, good};
use nodeimg_test_support::synthetic::{World, body, is_image};

/// A build with an empty store, with these answers for containerd.
pub fn cold(world: &World, answers: Vec<Answer>, retries: &str) -> Command {
    world.script("containerd", answers);
    let mut command = world.build();
    command.args(["--retries", retries]);
    command
}

fn with_fault(world: &World, fault: Fault) -> Command {
    cold(
        world,
        vec![faulty(&body("containerd", "amd64"), fault)],
        "0",
    )
}

/// Another file of the same length.
fn flipped() -> Vec<u8> {
    let mut bytes = body("containerd", "amd64");
    bytes.iter_mut().for_each(|byte| *byte ^= 1);
    bytes
}

pub const WHAT: &str = "containerd 2.3.4 (amd64)";
pub const URL: &str = "https://up.test/containerd/2.3.4/amd64";

/// Every answer that ends a build, however often it is asked for again.
const NEVER: &[Case] = &[
    Case {
        name: "other bytes",
        given: |world| cold(world, vec![good(&flipped())], "0"),
        code: 1,
        says: &[
            WHAT,
            URL,
            "through the mirror http://127.0.0.1:",
            "expected sha256:",
            "got sha256:",
            "the bytes were dropped",
            "`nodeimg lock --update`",
        ],
    },
    Case {
        name: "404",
        given: |world| with_fault(world, Fault::Status(404)),
        code: 1,
        says: &[
            WHAT,
            URL,
            "404 Not Found",
            "check the version and the URL in the recipe",
        ],
    },
    Case {
        name: "403",
        given: |world| with_fault(world, Fault::Status(403)),
        code: 1,
        says: &[WHAT, URL, "403 Forbidden", "login"],
    },
    Case {
        name: "500 for ever",
        given: |world| cold(world, vec![faulty(b"", Fault::Status(500))], "1"),
        code: 1,
        says: &[
            WHAT,
            URL,
            "500 Internal Server Error",
            "try again later",
            "--mirror FROM=TO",
        ],
    },
    Case {
        name: "too long by its Content-Length",
        given: |world| with_fault(world, Fault::Length(1 << 40)),
        code: 1,
        says: &[WHAT, URL, "1099511627776 bytes", "the lock says"],
    },
    Case {
        name: "too short by its Content-Length",
        given: |world| with_fault(world, Fault::Length(10)),
        code: 1,
        says: &[WHAT, URL, "10 bytes", "the lock says"],
    },
    Case {
        name: "too long without a Content-Length",
        given: |world| {
            let mut long = body("containerd", "amd64");
            long.push(0);
            cold(world, vec![faulty(&long, Fault::Unframed)], "0")
        },
        code: 1,
        says: &[WHAT, URL, "sends more than the", "bytes in the lock"],
    },
    Case {
        name: "a redirect to http",
        given: |world| {
            with_fault(
                world,
                Fault::Redirect("http://127.0.0.2:9/elsewhere".to_owned()),
            )
        },
        code: 1,
        says: &[
            WHAT,
            "redirects to http://127.0.0.2:9/elsewhere",
            "not https",
            "--mirror FROM=TO",
        ],
    },
    Case {
        name: "a redirect to a file",
        given: |world| with_fault(world, Fault::Redirect("file:///etc/passwd".to_owned())),
        code: 1,
        says: &[WHAT, "redirects to file:///etc/passwd", "not https"],
    },
    Case {
        name: "redirects in a circle",
        given: |world| {
            let itself = world
                .server
                .url(&World::target("containerd", "2.3.4", "amd64"));
            with_fault(world, Fault::Redirect(itself))
        },
        code: 1,
        says: &[WHAT, "more than 10 redirects"],
    },
    Case {
        name: "no HTTP",
        given: |world| with_fault(world, Fault::Garbage),
        code: 1,
        says: &[WHAT, URL],
    },
    Case {
        name: "nobody listens",
        given: |world| {
            let mut command = cold(world, vec![good(b"")], "0");
            command.env("NODEIMG_MIRROR", "https://up.test/=http://127.0.0.1:9/");
            command
        },
        code: 1,
        says: &[WHAT, URL, "cannot connect", "HTTPS_PROXY", "--mirror"],
    },
    Case {
        name: "offline and cold",
        given: |world| {
            let mut command = cold(world, vec![good(b"")], "0");
            command.arg("--offline");
            command
        },
        code: 1,
        says: &[
            "lacks 5 of 5 artifacts",
            WHAT,
            URL,
            "--offline",
            "`nodeimg fetch --recipe ./recipe.toml --arch amd64`",
            "--bundle",
        ],
    },
];

#[test]
fn servers_that_never_give_the_file() {
    try_all(NEVER);
}

/// All that fails is in one message.
#[test]
fn every_failing_download_is_named() {
    let world = World::locked();
    let mut command = cold(&world, vec![faulty(b"", Fault::Status(404))], "0");
    world.script("crictl", vec![faulty(b"", Fault::Status(410))]);
    Ran::of(&mut command).refused(
        1,
        &[
            "2 downloads failed",
            WHAT,
            "crictl 1.36.0 (amd64)",
            "404",
            "410",
        ],
    );
    world.is_clean().unwrap();
    // What came well is kept.
    assert!(world.blobs().contains(&sha256(&body("runc", "amd64"))));
}

#[test]
fn other_bytes_never_reach_the_store() {
    let world = World::locked();
    let ran = Ran::of(&mut cold(&world, vec![good(&flipped())], "4"));
    let (expected, got) = (sha256(&body("containerd", "amd64")), sha256(&flipped()));
    ran.refused(
        1,
        &[
            &format!("expected sha256:{expected}"),
            &format!("got sha256:{got}"),
        ],
    );
    assert!(!world.blobs().contains(&got) && !world.blobs().contains(&expected));
    assert_eq!(
        world.asked("containerd").len(),
        1,
        "wrong bytes are asked for once"
    );
}

#[test]
fn retries_are_as_many_as_asked_for() {
    for (retries, requests) in [("0", 1), ("1", 2)] {
        let world = World::locked();
        let mut command = cold(&world, vec![faulty(b"", Fault::Status(503))], retries);
        Ran::of(&mut command).refused(1, &["503"]);
        assert_eq!(
            world.asked("containerd").len(),
            requests,
            "--retries {retries}"
        );
    }
}

/// Faults that one more request repairs: the image is the same.
#[test]
fn builds_recover() {
    let whole = body("containerd", "amd64");
    let size = whole.len();
    let reference = World::locked();
    Ran::of(&mut reference.build()).good();
    let want = std::fs::read(reference.image("amd64").join("SHA256SUMS")).unwrap();
    let (half, most) = (size / 2, size * 99 / 100);
    // The fault, and where the second request begins.
    let cases = [
        ("cut at 0", Fault::Cut(0), Fault::None, None),
        ("cut at 50 %", Fault::Cut(half), Fault::None, Some(half)),
        ("cut at 99 %", Fault::Cut(most), Fault::None, Some(most)),
        (
            "cut, and Range is ignored",
            Fault::Cut(half),
            Fault::IgnoreRange,
            Some(half),
        ),
        (
            "cut, and another range is sent",
            Fault::Cut(half),
            Fault::ContentRange(format!("bytes 0-{}/{size}", size - 1)),
            Some(half),
        ),
        (
            "cut without a length",
            Fault::UnframedCut(half),
            Fault::None,
            Some(half),
        ),
        ("500 once", Fault::Status(500), Fault::None, None),
        ("asked to wait", Fault::RetryAfter(1), Fault::None, None),
        ("chunked", Fault::Chunked, Fault::None, None),
    ];
    let problems: Vec<String> = thread::scope(|scope| {
        let threads: Vec<_> = cases
            .iter()
            .map(|(name, first, second, from)| {
                let (whole, want) = (&whole, &want);
                scope.spawn(move || recovery(name, [first, second], *from, whole, want))
            })
            .collect();
        threads
            .into_iter()
            .filter_map(|thread| thread.join().unwrap().err())
            .collect()
    });
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

fn recovery(
    name: &str,
    faults: [&Fault; 2],
    from: Option<usize>,
    whole: &[u8],
    want: &[u8],
) -> Result<(), String> {
    let world = World::locked();
    let [first, second] = faults.map(|fault| faulty(whole, fault.clone()));
    let ran = Ran::of(&mut cold(&world, vec![first, second, good(whole)], "4"));
    if ran.code != Some(0) {
        return Err(format!("{name}: {}", ran.err));
    }
    let requests = world.asked("containerd");
    let range = requests.get(1).and_then(|request| request.header("range"));
    if from.map(|from| format!("bytes={from}-")).as_deref() != range {
        return Err(format!("{name}: the second request asked for {range:?}"));
    }
    let got = std::fs::read(world.image("amd64").join("SHA256SUMS")).unwrap();
    if got != want {
        return Err(format!("{name}: another image"));
    }
    if !world.partials().is_empty() {
        return Err(format!("{name}: left {:?}", world.partials()));
    }
    world.store_is_sound()
}

/// A cut for ever is an error; what came is kept, and the next run goes on.
#[test]
fn a_cut_for_ever_is_gone_on_from() {
    let whole = body("containerd", "amd64");
    let world = World::locked();
    let half = whole.len() / 2;
    // The server gives nothing past one half, to any request.
    let answers = vec![
        faulty(&whole, Fault::Cut(half)),
        faulty(&whole, Fault::Cut(0)),
    ];
    let ran = Ran::of(&mut cold(&world, answers, "1"));
    ran.refused(
        1,
        &[
            WHAT,
            URL,
            "the connection was cut",
            "the partial download is kept: run the command again",
        ],
    );
    assert!(!world.partials().is_empty(), "nothing was kept");
    world.store_is_sound().unwrap();
    assert!(!world.path("out").exists());

    world.script("containerd", vec![good(&whole)]);
    Ran::of(&mut world.build()).good();
    let last = world.asked("containerd").pop().unwrap();
    assert_eq!(
        last.header("range"),
        Some(format!("bytes={half}-").as_str())
    );
    assert!(world.partials().is_empty() && is_image(&world.image("amd64")));
}

/// Killed in a download and restarted.
#[test]
fn a_killed_build_is_gone_on_from() {
    let whole = body("containerd", "amd64");
    let world = World::locked();
    let stalled = faulty(&whole, Fault::Stall(whole.len() / 2));
    let mut child = cold(&world, vec![stalled, good(&whole)], "0")
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    for _ in 0..400 {
        if !world.asked("containerd").is_empty() && world.blobs().len() >= 4 {
            break;
        }
        thread::sleep(Duration::from_millis(25));
    }
    thread::sleep(Duration::from_millis(100));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!world.path("out").exists());
    world.store_is_sound().unwrap();
    Ran::of(&mut world.build()).good();
    assert!(is_image(&world.image("amd64")) && world.partials().is_empty());
}
