//! Seeds over http: a NoCloud directory on a server, OpenStack's and EC2's
//! metadata services.
//!
//! - OpenStack: <https://docs.openstack.org/nova/latest/user/metadata.html>
//! - EC2, version 2 with a session token: <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html>
//!
//! Each is asked once in a search; the search is repeated while there is time.
use nodeimg_seed::contract::settings::MetadataService;
use nodeimg_seed::contract::stamp::Origin;
use nodeimg_seed::read::seed::{Layout, Seed, SeedFile};
use nodeimg_seed::text::problem::{Place, Problems};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Found, Home, Search, Sought};
use crate::source::http::{Trouble, Url, ask};

/// `meta-data` and the other files below an address.
pub(super) fn no_cloud(search: &Search<'_>, base: &Url) -> Found {
    if search.guard.bars_address(&base.to_string(), None) {
        return Found::Absent(Vec::new());
    }
    let found = layout(search, base, Layout::NoCloud).unwrap_or_else(|found| found);
    from(base, None, found)
}

/// With where it came from.
fn from(base: &Url, service: Option<MetadataService>, mut found: Found) -> Found {
    if let Found::Seed(sought) = &mut found {
        sought.origin = Origin {
            url: Some(base.to_string()),
            service,
            ..Origin::default()
        };
    }
    found
}

/// The services that the image's recipe asks for, in its order.
pub(super) fn link_local(search: &Search<'_>) -> Found {
    let Some(system) = search.system else {
        return Found::Absent(Vec::new());
    };
    let base = match Url::parse(&system.metadata) {
        Ok(base) => base,
        Err(reason) => return Found::Absent(vec![reason]),
    };
    let mut pending = None;
    let mut seen = Vec::new();
    let address = base.to_string();
    let barred = |service| search.guard.bars_address(&address, Some(service));
    let asked = search.metadata.iter().filter(|service| !barred(**service));
    for service in asked {
        let found = match service {
            MetadataService::Openstack => layout(search, &base, Layout::ConfigDrive),
            MetadataService::Ec2 => ec2(search, &base),
        };
        match found.unwrap_or_else(|found| found) {
            // Another service may be the one that is present.
            Found::Pending { place, reason } => pending = Some((place, reason)),
            Found::Absent(lines) => seen.extend(lines),
            found => return from(&base, Some(*service), found),
        }
    }
    match pending {
        Some((place, reason)) => Found::Pending { place, reason },
        None => Found::Absent(seen),
    }
}

type Attempt<T> = Result<T, Found>;

/// One file; an obstacle is reported as the result.
fn get(search: &Search<'_>, url: &Url, headers: &[String]) -> Attempt<Option<Zeroizing<Vec<u8>>>> {
    request(search, "GET", url, headers)
}

fn request(
    search: &Search<'_>,
    method: &str,
    url: &Url,
    headers: &[String],
) -> Attempt<Option<Zeroizing<Vec<u8>>>> {
    let pending = |reason: String| Found::Pending {
        place: url.to_string(),
        reason,
    };
    if search.early {
        return Err(pending("the network is not up yet".to_owned()));
    }
    ask(method, url, headers, search.deadline).map_err(|trouble| match trouble {
        Trouble::Unreachable(reason) => pending(reason),
        Trouble::Wrong(reason) => {
            let mut problems = Problems::new();
            let place = url.to_string();
            problems.error(
                &Place::file(&place),
                reason,
                "check the server and the address",
            );
            Found::Broken { place, problems }
        }
    })
}

fn layout(search: &Search<'_>, base: &Url, layout: Layout) -> Attempt<Found> {
    let names = layout.names();
    let file = |name: &str| -> Attempt<Option<SeedFile>> {
        let url = base.join(name);
        let bytes = get(search, &url, &[])?;
        Ok(bytes.map(|bytes| SeedFile {
            name: url.to_string(),
            bytes,
        }))
    };
    let place = base.to_string();
    let Some(meta_data) = file(names.meta_data)? else {
        let reason = format!("has no `{}`", names.meta_data);
        if layout == Layout::ConfigDrive {
            return Ok(Found::Absent(vec![format!("{place}: {reason}")]));
        }
        let mut problems = Problems::new();
        problems.error(
            &Place::file(&place),
            reason,
            "put the files of the seed there",
        );
        return Ok(Found::Broken { place, problems });
    };
    let user_data = file(names.user_data)?;
    if user_data.is_none() && layout == Layout::NoCloud {
        let reason = format!("has no `{}`, and NoCloud needs both", names.user_data);
        let mut problems = Problems::new();
        problems.error(&Place::file(&place), reason, "add it; it may be empty");
        return Ok(Found::Broken { place, problems });
    }
    let mut seed = Seed {
        user_data,
        vendor_data: file(names.vendor_data)?,
        vendor_data2: names.vendor_data2.map_or(Ok(None), &file)?,
        network: file(names.network)?,
        ..Seed::new(layout, meta_data)
    };
    let mut problems = Problems::new();
    seed.inject(&file, &mut problems)?;
    if problems.has_errors() {
        return Ok(Found::Broken { place, problems });
    }
    seed.told = problems;
    Ok(Found::Seed(Box::new(Sought {
        place,
        seed,
        home: Home::Elsewhere,
        origin: Origin::default(),
    })))
}

/// EC2 has a tree of small texts, from which the meta-data of a seed is built.
fn ec2(search: &Search<'_>, base: &Url) -> Attempt<Found> {
    const TOKEN: &str = "latest/api/token";
    let life = "X-aws-ec2-metadata-token-ttl-seconds: 300".to_owned();
    let Some(token) = request(search, "PUT", &base.join(TOKEN), &[life])? else {
        return Ok(Found::Absent(vec![format!("{base}: has no `{TOKEN}`")]));
    };
    let token = Zeroizing::new(String::from_utf8_lossy(&token).trim().to_owned());
    if token.is_empty() || !token.chars().all(|c| c.is_ascii_graphic()) {
        return Ok(Found::Absent(vec![format!(
            "{base}{TOKEN}: returns no token"
        )]));
    }
    let header = Zeroizing::new(vec![format!("X-aws-ec2-metadata-token: {}", *token)]);
    let text = |name: &str| -> Attempt<Option<String>> {
        let bytes = get(
            search,
            &base.join(&format!("latest/meta-data/{name}")),
            &header,
        )?;
        let text = bytes.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
        Ok(text.filter(|text| !text.is_empty()))
    };
    let Some(meta) = ec2_meta_data(text)? else {
        return Ok(Found::Absent(vec![format!("{base}: has no instance-id")]));
    };
    let url = base.join("latest/user-data");
    let user_data = get(search, &url, &header)?.map(|bytes| SeedFile {
        name: url.to_string(),
        bytes,
    });
    Ok(Found::Seed(Box::new(Sought {
        place: base.to_string(),
        seed: Seed {
            user_data,
            ..Seed::new(
                Layout::NoCloud,
                SeedFile::new(base.join("latest/meta-data").to_string(), meta.to_string()),
            )
        },
        home: Home::Elsewhere,
        origin: Origin::default(),
    })))
}

/// The meta-data, whose values `text` returns by name; `None` without an instance-id.
fn ec2_meta_data(text: impl Fn(&str) -> Attempt<Option<String>>) -> Attempt<Option<Value>> {
    let Some(id) = text("instance-id")? else {
        return Ok(None);
    };
    let mut meta = json!({ "instance-id": id });
    let name = match text("local-hostname")? {
        Some(name) => Some(name),
        None => text("hostname")?,
    };
    // Several names, one for each domain of the network.
    if let Some(name) = name
        .as_deref()
        .and_then(|name| name.split_whitespace().next())
    {
        meta["local-hostname"] = name.into();
    }
    let mut keys = Vec::new();
    for line in text("public-keys/")?.unwrap_or_default().lines().take(64) {
        let index = line.split('=').next().unwrap_or_default();
        if !index.is_empty() && index.chars().all(|c| c.is_ascii_digit()) {
            keys.extend(text(&format!("public-keys/{index}/openssh-key"))?);
        }
    }
    if !keys.is_empty() {
        meta["public-keys"] = keys.into();
    }
    Ok(Some(meta))
}

#[cfg(test)]
mod tests;
