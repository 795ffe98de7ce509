//! The model: links, and the settings of each.
use std::net::IpAddr;

use ipnet::IpNet;

use super::mac::Mac;
use crate::text::problem::{Located, Place};

/// An interface, physical or virtual.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its id in the seed; for a virtual interface, its name.
    pub id: String,
    pub place: Place,
    pub kind: Kind,
    pub matched: Match,
    /// The name to give to a network interface.
    pub set_name: Option<String>,
    /// The hardware address to give.
    pub mac: Option<Mac>,
    pub mtu: Option<u32>,
    pub dhcp4: bool,
    pub dhcp6: bool,
    pub accept_ra: Option<bool>,
    pub addresses: Vec<IpNet>,
    pub routes: Vec<Route>,
    pub rules: Vec<Rule>,
    pub dns: Vec<IpAddr>,
    pub search: Vec<String>,
    /// The boot does not wait for it.
    pub optional: bool,
    pub wake_on_lan: bool,
    /// Any other setting of its `.network` file.
    pub settings: Vec<Setting>,
    /// The interface that it is a part of, and as what.
    pub master: Option<(&'static str, String)>,
    /// VLANs on top of it.
    pub vlans: Vec<String>,
}

/// Which interface is meant; all given conditions must match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Match {
    pub mac: Option<Mac>,
    pub name: Option<String>,
    /// Any of them; none if the driver does not matter.
    pub drivers: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Physical,
    Bond {
        members: Vec<Located<String>>,
        settings: Vec<Setting>,
        primary: Option<Located<String>>,
    },
    Bridge {
        members: Vec<Located<String>>,
        settings: Vec<Setting>,
        /// Settings of single members.
        ports: Vec<(Located<String>, Setting)>,
    },
    Vlan {
        id: u16,
        parent: Located<String>,
    },
    Vrf {
        members: Vec<Located<String>>,
        table: u32,
    },
}

/// One line of a file of networkd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub section: &'static str,
    pub key: &'static str,
    pub value: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub place: Place,
    /// `None` for the default route of the gateway's family.
    pub to: Option<IpNet>,
    pub via: Option<IpAddr>,
    pub from: Option<IpAddr>,
    pub metric: Option<u32>,
    pub table: Option<u32>,
    pub mtu: Option<u32>,
    pub on_link: Option<bool>,
    pub scope: Option<String>,
    pub kind: Option<String>,
}

/// A rule of the routing policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    pub from: Option<IpNet>,
    pub to: Option<IpNet>,
    pub table: Option<u32>,
    pub priority: Option<u32>,
    pub mark: Option<u32>,
    pub type_of_service: Option<u32>,
}

impl Link {
    pub fn new(id: &str, place: Place, kind: Kind) -> Self {
        Self {
            id: id.to_owned(),
            place,
            kind,
            matched: Match::default(),
            set_name: None,
            mac: None,
            mtu: None,
            dhcp4: false,
            dhcp6: false,
            accept_ra: None,
            addresses: Vec::new(),
            routes: Vec::new(),
            rules: Vec::new(),
            dns: Vec::new(),
            search: Vec::new(),
            optional: false,
            wake_on_lan: false,
            settings: Vec::new(),
            master: None,
            vlans: Vec::new(),
        }
    }

    pub fn is_physical(&self) -> bool {
        self.kind == Kind::Physical
    }

    pub fn set(&mut self, section: &'static str, key: &'static str, value: impl Into<String>) {
        self.settings
            .retain(|known| (known.section, known.key) != (section, key));
        self.settings.push(Setting {
            section,
            key,
            value: value.into(),
        });
    }
}

impl Route {
    pub fn new(place: Place) -> Self {
        Self {
            place,
            to: None,
            via: None,
            from: None,
            metric: None,
            table: None,
            mtu: None,
            on_link: None,
            scope: None,
            kind: None,
        }
    }

    pub fn default_by(place: Place, gateway: IpAddr) -> Self {
        Self {
            via: Some(gateway),
            ..Self::new(place)
        }
    }
}
