//! One recipe over another.
//!
//! A value replaces a value, tables merge key by key, lists are added to
//! (nothing twice; but words of a command line stay as they are given, since their order and
//! number have a meaning), `artifact` entries merge by `name` and `file` entries by
//! `path`. An artifact's own lists and its `arch_names` replace, since they
//! belong together with its version.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Serialize;

use super::base::BasePart;
use super::extra::{FilePart, HealthPart};
use super::file::{
    ArtifactPart, ClusterPart, DiskPart, FirstBootPart, KubeProxyPart, KubeletPart, RecipeFile,
    SysextPart, UnitsPart,
};
use super::registries::RegistryPart;
use super::runtime::containerd::ContainerdPart;
use super::runtime::crio::CrioPart;
use super::update::UpdatePart;

impl RecipeFile {
    /// `self` over `base`.
    pub fn over(self, base: RecipeFile) -> RecipeFile {
        RecipeFile {
            extends: None,
            name: self.name.or(base.name),
            version: self.version.or(base.version),
            kubernetes: self.kubernetes.or(base.kubernetes),
            description: self.description.or(base.description),
            profile: self.profile.or(base.profile),
            runtime: self.runtime.or(base.runtime),
            sandbox_image: self.sandbox_image.or(base.sandbox_image),
            outputs: added(base.outputs, self.outputs),
            handlers: added(base.handlers, self.handlers),
            modules: added(base.modules, self.modules),
            writable: added(base.writable, self.writable),
            overlay: added(base.overlay, self.overlay),
            base: part(self.base, base.base, BasePart::over),
            cluster: self.cluster.over(base.cluster),
            kubelet: self.kubelet.over(base.kubelet),
            kube_proxy: self.kube_proxy.over(base.kube_proxy),
            containerd: part(self.containerd, base.containerd, ContainerdPart::over),
            crio: part(self.crio, base.crio, CrioPart::over),
            registries: merged_maps(base.registries, self.registries, RegistryPart::over),
            units: UnitsPart {
                enable: added(base.units.enable, self.units.enable),
                mask: added(base.units.mask, self.units.mask),
            },
            sysext: self.sysext.over(base.sysext),
            disk: self.disk.over(base.disk),
            first_boot: FirstBootPart {
                metadata: added(base.first_boot.metadata, self.first_boot.metadata),
                wait: self.first_boot.wait.or(base.first_boot.wait),
                commands: self.first_boot.commands.or(base.first_boot.commands),
                scrub: self.first_boot.scrub.or(base.first_boot.scrub),
                runtime_change: self
                    .first_boot
                    .runtime_change
                    .or(base.first_boot.runtime_change),
                reprovision: self.first_boot.reprovision.or(base.first_boot.reprovision),
            },
            update: part(self.update, base.update, UpdatePart::over),
            sysctl: base.sysctl.into_iter().chain(self.sysctl).collect(),
            mirrors: base.mirrors.into_iter().chain(self.mirrors).collect(),
            trust: self.trust.over(base.trust),
            credential_provider: merged_by(
                base.credential_provider,
                self.credential_provider,
                |a, b| a.name == b.name,
                |over, _| over,
            ),
            artifact: merged_by(
                base.artifact,
                self.artifact,
                |a, b| a.name == b.name,
                ArtifactPart::over,
            ),
            file: merged_by(
                base.file,
                self.file,
                |a, b| a.path == b.path,
                |over: FilePart, _| over,
            ),
            health: merged_by(
                base.health,
                self.health,
                |a, b| a.name == b.name,
                |over: HealthPart, _| over,
            ),
        }
    }
}

impl ClusterPart {
    fn over(self, base: ClusterPart) -> ClusterPart {
        ClusterPart {
            cluster_cidr: self.cluster_cidr.or(base.cluster_cidr),
            service_cidr: self.service_cidr.or(base.service_cidr),
            // Another service network has other addresses: no adding here.
            cluster_dns: or_list(self.cluster_dns, base.cluster_dns),
            cluster_domain: self.cluster_domain.or(base.cluster_domain),
            api_server_version: self.api_server_version.or(base.api_server_version),
        }
    }
}

impl SysextPart {
    /// A version belongs to the system that it is of.
    fn over(self, base: SysextPart) -> SysextPart {
        match self.id {
            Some(_) => self,
            None => SysextPart {
                id: base.id,
                version_id: self.version_id.or(base.version_id),
            },
        }
    }
}

impl DiskPart {
    fn over(self, base: DiskPart) -> DiskPart {
        DiskPart {
            size: self.size.or(base.size),
            esp_size: self.esp_size.or(base.esp_size),
            slot_size: self.slot_size.or(base.slot_size),
            kernel_args: [base.kernel_args, self.kernel_args].concat(),
            initrd: self.initrd.or(base.initrd),
            initrd_modules: added(base.initrd_modules, self.initrd_modules),
        }
    }
}

impl KubeletPart {
    fn over(self, base: KubeletPart) -> KubeletPart {
        KubeletPart {
            max_pods: self.max_pods.or(base.max_pods),
            extra_args: [base.extra_args, self.extra_args].concat(),
            labels: base.labels.into_iter().chain(self.labels).collect(),
            config: merged_tables(base.config, self.config),
        }
    }
}

impl KubeProxyPart {
    fn over(self, base: KubeProxyPart) -> KubeProxyPart {
        KubeProxyPart {
            mode: self.mode.or(base.mode),
            extra_args: [base.extra_args, self.extra_args].concat(),
            config: merged_tables(base.config, self.config),
        }
    }
}

impl ArtifactPart {
    fn over(self, base: ArtifactPart) -> ArtifactPart {
        let arch_names = if self.arch_names.is_empty() {
            base.arch_names
        } else {
            self.arch_names
        };
        ArtifactPart {
            name: self.name,
            kind: self.kind.or(base.kind),
            version: self.version.or(base.version),
            runtime: self.runtime.or(base.runtime),
            url: self.url.or(base.url),
            checksum: self.checksum.or(base.checksum),
            arch_names,
            files: or_list(self.files, base.files),
            max_unpacked: self.max_unpacked.or(base.max_unpacked),
            allow_setuid: self.allow_setuid.or(base.allow_setuid),
            verify: self.verify.or(base.verify),
            image: self.image.or(base.image),
            source: self.source.or(base.source),
            also: or_list(self.also, base.also),
        }
    }
}

/// A table that a recipe may go without.
fn part<T>(over: Option<T>, base: Option<T>, merge: impl Fn(T, T) -> T) -> Option<T> {
    match (over, base) {
        (Some(over), Some(base)) => Some(merge(over, base)),
        (over, base) => over.or(base),
    }
}

fn or_list<T>(over: Vec<T>, base: Vec<T>) -> Vec<T> {
    if over.is_empty() { base } else { over }
}

/// Nothing twice.
pub fn added<T: PartialEq>(mut base: Vec<T>, more: Vec<T>) -> Vec<T> {
    for item in more {
        if !base.contains(&item) {
            base.push(item);
        }
    }
    base
}

/// Each item over the one that is the same.
pub fn merged_by<T>(
    mut base: Vec<T>,
    over: Vec<T>,
    same: impl Fn(&T, &T) -> bool,
    merge: impl Fn(T, T) -> T,
) -> Vec<T> {
    for item in over {
        match base.iter().position(|there| same(there, &item)) {
            Some(at) => {
                let there = base.remove(at);
                base.insert(at, merge(item, there));
            }
            None => base.push(item),
        }
    }
    base
}

/// By key; what both have is merged.
fn merged_maps<T>(
    mut base: BTreeMap<String, T>,
    over: BTreeMap<String, T>,
    merge: impl Fn(T, T) -> T,
) -> BTreeMap<String, T> {
    for (key, item) in over {
        let merged = match base.remove(&key) {
            Some(there) => merge(item, there),
            None => item,
        };
        base.insert(key, merged);
    }
    base
}

/// Deep: a table in both is merged, anything else in `over` wins.
pub fn merged_tables(mut base: toml::Table, over: toml::Table) -> toml::Table {
    for (key, value) in over {
        let merged = match (base.remove(&key), value) {
            (Some(toml::Value::Table(there)), toml::Value::Table(here)) => {
                toml::Value::Table(merged_tables(there, here))
            }
            (_, here) => here,
        };
        base.insert(key, merged);
    }
    base
}

/// A component's configuration as a table: our typed fields, and what the
/// recipe says over them.
pub fn with_extra<T: Serialize>(ours: &T, extra: &toml::Table, what: &str) -> Result<toml::Table> {
    let ours = toml::Table::try_from(ours).with_context(|| format!("writing {what}"))?;
    Ok(merged_tables(ours, extra.clone()))
}
