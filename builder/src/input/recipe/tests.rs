#![allow(clippy::unwrap_used)]
use super::*;
use crate::output::KINDS;

/// The built-in `hard-way`, without its base system, with `more` over it.
pub fn recipe(more: &str) -> Recipe {
    load_text(more).unwrap()
}

/// A disk of a base system, with `more` in the place of the built-in recipe's.
pub fn disk_recipe(more: &str) -> Recipe {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mine.toml");
    let version = match more.contains("version = ") {
        true => "",
        false => "version = \"1\"\n",
    };
    let text = format!(
        "name = \"mine\"\nprofile = \"container-host\"\noutputs = [\"disk\"]\n{version}{more}\
         [base]\nsuite = \"trixie\"\npackages = [\"systemd\"]\n"
    );
    std::fs::write(&path, text).unwrap();
    load(&RecipeRef::File(path), &KINDS).unwrap()
}

pub fn load_text(more: &str) -> anyhow::Result<Recipe> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mine.toml");
    let built_in = |name| -> toml::Table { built_in(name).unwrap().recipe.parse().unwrap() };
    let mut part = built_in("kubernetes-node");
    part.remove("extends").unwrap();
    std::fs::write(dir.path().join("part.toml"), part.to_string()).unwrap();
    let mut bare = built_in("hard-way");
    bare.insert("extends".into(), "part.toml".into());
    bare.insert("outputs".into(), vec!["overlay"].into());
    std::fs::write(dir.path().join("bare.toml"), bare.to_string()).unwrap();
    std::fs::write(&path, format!("extends = \"bare.toml\"\n{more}")).unwrap();
    load(&RecipeRef::File(path), &KINDS)
}

/// `hard-way` with no kernel module of its own.
pub fn without_modules() -> Recipe {
    let dir = tempfile::tempdir().unwrap();
    let built_in = |name| -> toml::Table { built_in(name).unwrap().recipe.parse().unwrap() };
    let mut part = built_in("kubernetes-node");
    part.remove("modules").unwrap();
    std::fs::write(dir.path().join("part.toml"), part.to_string()).unwrap();
    let mut mine = built_in("hard-way");
    mine.insert("extends".into(), "part.toml".into());
    let path = dir.path().join("mine.toml");
    std::fs::write(&path, mine.to_string()).unwrap();
    load(&RecipeRef::File(path), &KINDS).unwrap()
}

pub fn refusal(more: &str) -> String {
    format!("{:#}", load_text(more).unwrap_err())
}

#[test]
fn every_built_in_recipe_is_good_and_has_a_fitting_lock() {
    assert!(built_in_names().contains(&"hard-way"));
    for name in built_in_names() {
        let recipe = load(&RecipeRef::BuiltIn(name.to_owned()), &KINDS).unwrap();
        assert_eq!(recipe.name.as_str(), name);
        let text = built_in(name)
            .unwrap()
            .lock
            .unwrap_or_else(|| panic!("{name} has no lock"));
        let lock = crate::input::lock::Lock::parse(text, name)
            .unwrap()
            .check(&recipe, name)
            .unwrap();
        for arch in Arch::ALL {
            lock.check_arch(&recipe, arch).unwrap();
        }
    }
}

#[test]
fn a_recipe_over_another_says_only_what_differs() {
    let mine = recipe(
        "name = \"mine\"\nmodules = [\"vxlan\"]\n[kubelet]\nlabels = { \"a.example/b\" = \"c\" }\n\
         [kubelet.config]\nimageGCHighThresholdPercent = 90\n[[artifact]]\nname = \"runc\"\nversion = \"9.9.9\"\n",
    );
    let base = load(&RecipeRef::BuiltIn("hard-way".into()), &KINDS).unwrap();
    assert_eq!(mine.name.as_str(), "mine");
    assert_eq!(mine.version, base.version);
    assert_eq!(mine.modules.len(), base.modules.len() + 1);
    assert_eq!(mine.artifacts.len(), base.artifacts.len());
    let runc = mine
        .artifacts
        .iter()
        .find(|a| a.name.as_str() == "runc")
        .unwrap();
    assert!(runc.request(Arch::Arm64).unwrap().url.contains("/v9.9.9/"));
    assert_ne!(mine.digest(), base.digest());
}

#[test]
fn an_initrd_is_of_the_kind_that_comes_last() {
    use file::InitrdKind;
    assert_eq!(recipe("").disk.initrd, None);
    let systemd = "[disk]\ninitrd = \"systemd\"\n";
    assert_eq!(recipe(systemd).disk.initrd, Some(InitrdKind::Systemd));
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let under = format!("extends = \"container-host\"\nname = \"a\"\n{systemd}");
    std::fs::write(path("a.toml"), under).unwrap();
    for (more, want) in [
        ("", InitrdKind::Systemd),
        ("initrd = \"nodeimg\"\n", InitrdKind::Nodeimg),
    ] {
        let text =
            format!("extends = \"a.toml\"\nname = \"b\"\n[disk]\nesp_size = \"300 MiB\"\n{more}");
        std::fs::write(path("b.toml"), text).unwrap();
        let disk = load(&RecipeRef::File(path("b.toml")), &KINDS).unwrap().disk;
        assert_eq!(disk.initrd, Some(want), "{more}");
    }
    let text = refusal("[disk]\ninitrd = \"dracut\"\n");
    for part in ["mine.toml:3:10", "dracut", "`nodeimg` or `systemd`"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn an_exclusion_takes_out_what_the_extended_recipe_asks_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mine.toml");
    let text = "extends = \"container-host\"\nname = \"metal\"\n[base]\n\
         exclude = [\"linux-image-cloud-amd64\", \"socat\"]\n\
         [base.arch_packages]\namd64 = [\"linux-image-amd64\"]\n";
    std::fs::write(&path, text).unwrap();
    let base = load(&RecipeRef::File(path), &KINDS).unwrap().base.unwrap();
    let has = |name: &str| {
        let name: PackageName = name.parse().unwrap();
        base.packages[&Arch::Amd64].contains(&name)
    };
    assert!(has("linux-image-amd64") && has("systemd"));
    assert!(!has("linux-image-cloud-amd64") && !has("socat"));
}

#[test]
fn bad_recipes_say_what_where_and_what_to_do() {
    for (more, wants) in [
        (
            "[cluster]\ncluster_cdir = \"10.0.0.0/8\"\n",
            vec![
                "mine.toml:3:1",
                "cluster_cdir",
                "did you mean `cluster_cidr`?",
            ],
        ),
        (
            "[cluster]\ncluster_cidr = \"10.0.0.1/8\"\n",
            vec!["mine.toml:3:16", "10.0.0.0/8"],
        ),
        (
            "[cluster]\ncluster_cidr = [\"10.1.0.0/16\", \"10.2.0.0/16\"]\n",
            vec!["mine.toml:3:16", "one IPv4 and one IPv6"],
        ),
        (
            "[cluster]\ncluster_cidr = 7\n",
            vec!["mine.toml:3:16", "string"],
        ),
        (
            "[cluster]\nservice_cidr = \"10.200.0.0/24\"\n",
            vec!["mine.toml:3:16", "overlaps"],
        ),
        (
            "[cluster]\ncluster_dns = [\"10.99.0.10\"]\n",
            vec!["mine.toml:3:16", "not inside service_cidr"],
        ),
        (
            "profile = \"hardway\"\n",
            vec!["mine.toml:2:11", "did you mean `hard-way`?"],
        ),
        (
            "[kubelet.config]\ncgroupDriver = \"cgroupfs\"\n",
            vec!["mine.toml:3:16", "agree"],
        ),
        (
            "[kubelet]\nextra_args = [\"-v 4\"]\n",
            vec!["mine.toml:3:15", "not a flag"],
        ),
        (
            "[kubelet]\nextra_args = [\"--v=4\", \"--pod-infra-container-image=x/pause:1\"]\n",
            vec!["mine.toml:3:24", "removed in 1.35", "`sandbox_image`"],
        ),
        ("[kubelet]\nlabels = { \"a b\" = \"c\" }\n", vec!["label"]),
        (
            "[kube_proxy]\nmode = \"ipvs\"\n",
            vec!["mine.toml:3:8", "`ip_vs`"],
        ),
        (
            "[[artifact]]\nname = \"new\"\n",
            vec!["artifact.new: `kind` is missing", "`url` is missing"],
        ),
        (
            "[[artifact]]\nname = \"runc\"\nurl = \"http://x/y\"\n",
            vec!["mine.toml:4:7", "mirror"],
        ),
        (
            "[[artifact]]\nname = \"runc\"\nfiles = [{ to = \"/../etc\" }]\n",
            vec!["mine.toml:4:17", ".."],
        ),
        (
            "[[file]]\npath = \"/etc/x\"\n",
            vec!["file./etc/x", "`content` and `source`"],
        ),
        (
            "profile = \"container-host\"\n",
            vec!["add a table `[base]`", "cluster: has no effect"],
        ),
        ("modules = [\"a b\"]\n", vec!["mine.toml:2:11"]),
        ("writable = [\"etc\"]\n", vec!["mine.toml:2:12", "absolute"]),
        (
            "[sysctl]\nx = 1\n",
            vec!["mine.toml:3:5", "kernel parameter"],
        ),
        ("[kubelet]\nmax_pods = -1\n", vec!["mine.toml:3:12"]),
        ("= 1\n", vec!["mine.toml:2:1"]),
    ] {
        let text = refusal(more);
        for want in wants {
            assert!(text.contains(want), "{more:?} should say {want:?}:\n{text}");
        }
    }
}

#[test]
fn a_flag_is_refused_from_the_version_on_that_lost_it() {
    let with = |version: &str, flag: &str| {
        format!("kubernetes = \"{version}\"\n[kubelet]\nextra_args = [\"{flag}\"]\n")
    };
    let pause = "--pod-infra-container-image=a/b:1";
    assert_eq!(recipe(&with("1.34.9", pause)).kubelet.extra_args, [pause]);
    for (flag, since) in [
        (pause, 35),
        ("--cloud-config=/x", 34),
        ("--iptables-drop-bit=15", 31),
        ("--container-runtime=remote", 27),
        ("--log_dir=/var/log", 26),
        ("--network-plugin=cni", 24),
        ("--allow-privileged=true", 15),
    ] {
        let text = refusal(&with("1.35.0", flag));
        assert!(text.contains("kubelet 1.35.0 would not start"), "{text}");
        assert!(text.contains(&format!("removed in 1.{since}")), "{text}");
    }
    // A flag that only begins like one that is gone.
    recipe("[kubelet]\nextra_args = [\"--cloud-provider=external\"]\n");
}

#[test]
fn several_problems_are_told_at_once() {
    let text = refusal("[kubelet]\nextra_args = [\"-x\"]\n[sysctl]\ny = 1\n");
    assert!(
        text.contains("kubelet.extra_args[0]") && text.contains("sysctl.y"),
        "{text}"
    );
}

#[test]
fn circles_and_strangers_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.toml");
    std::fs::write(&path, "extends = \"./a.toml\"\n").unwrap();
    let text = format!(
        "{:#}",
        load(&RecipeRef::File(path.clone()), &KINDS).unwrap_err()
    );
    assert!(text.contains("circle"), "{text}");
    std::fs::write(&path, "extends = \"hardway\"\n").unwrap();
    let text = format!("{:#}", load(&RecipeRef::File(path), &KINDS).unwrap_err());
    assert!(
        text.contains("a.toml:1:11") && text.contains("`hard-way`"),
        "{text}"
    );
    let text = format!(
        "{:#}",
        load(&RecipeRef::File("/nonexistent/x.toml".into()), &KINDS).unwrap_err()
    );
    assert!(text.contains("/nonexistent/x.toml"), "{text}");
}

/// A pipe that nobody writes to, a device that never ends.
#[test]
fn what_is_no_regular_file_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe.toml");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let error = load(&RecipeRef::File(pipe.clone()), &KINDS).unwrap_err();
    assert!(
        format!("{error:#}").contains("it is a named pipe"),
        "{error:#}"
    );
    for (path, kind) in [
        (pipe.to_str().unwrap(), "a named pipe"),
        ("/dev/zero", "a device"),
        (dir.path().to_str().unwrap(), "a directory"),
    ] {
        let text = format!("[[file]]\npath = \"/etc/x\"\nsource = \"{path}\"\n");
        let error = refusal(&text);
        assert!(
            error.contains(&format!("{path} is {kind}, not a file")),
            "{error}"
        );
    }
}

/// kubeadm's controller manager mounts a directory below it, and network plugins write there.
#[test]
fn kubeadms_directory_of_volume_plugins_stays_writable() {
    for (name, is_writable) in [("kubeadm", true), ("hard-way", false)] {
        let recipe = load(&RecipeRef::BuiltIn(name.into()), &KINDS).unwrap();
        let path = "/usr/libexec/kubernetes".parse().unwrap();
        assert_eq!(recipe.writable.contains(&path), is_writable, "{name}");
    }
}
