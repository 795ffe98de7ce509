//! What a request is about: its path and its query
//! ([resource URIs](https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris)).

/// A path of the API: `/api/v1` or `/apis/GROUP/VERSION`, a namespace or none,
/// a resource, perhaps a name and a subresource.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) api_version: String,
    pub(super) resource: String,
    pub(super) name: Option<String>,
    pub(super) subresource: Option<String>,
    /// Of the object, or of the collection; without a subresource.
    pub(super) path: String,
}

impl Route {
    pub(super) fn of(path: &str) -> Option<Route> {
        let words: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        let (api_version, rest) = match words[..] {
            ["api", "v1", ref rest @ ..] => ("v1".to_owned(), rest),
            ["apis", group, version, ref rest @ ..] => (format!("{group}/{version}"), rest),
            _ => return None,
        };
        let namespaced = matches!(rest, ["namespaces", _, _, ..]);
        let rest_of = if namespaced { &rest[2..] } else { rest };
        let (resource, name, subresource) = match rest_of {
            [resource] => (resource, None, None),
            [resource, name] => (resource, Some(name), None),
            [resource, name, sub] => (resource, Some(name), Some(sub)),
            _ => return None,
        };
        let kept = words.len() - usize::from(subresource.is_some());
        let owned = |text: &&str| (*text).to_owned();
        Some(Route {
            api_version,
            resource: owned(resource),
            name: name.map(owned),
            subresource: subresource.map(owned),
            path: format!("/{}", words[..kept].join("/")),
        })
    }

    /// Of the objects: client-go reads a list by it.
    pub(super) fn kind(&self) -> String {
        const KINDS: [(&str, &str); 11] = [
            ("certificatesigningrequests", "CertificateSigningRequest"),
            ("configmaps", "ConfigMap"),
            ("csidrivers", "CSIDriver"),
            ("csinodes", "CSINode"),
            ("endpoints", "Endpoints"),
            ("endpointslices", "EndpointSlice"),
            ("ipaddresses", "IPAddress"),
            ("resourceslices", "ResourceSlice"),
            ("runtimeclasses", "RuntimeClass"),
            ("servicecidrs", "ServiceCIDR"),
            ("persistentvolumes", "PersistentVolume"),
        ];
        let known = KINDS
            .iter()
            .find(|(resource, _)| *resource == self.resource);
        if let Some((_, kind)) = known {
            return (*kind).to_owned();
        }
        let singular = self.resource.strip_suffix('s').unwrap_or(&self.resource);
        let mut letters = singular.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        first.into_iter().chain(letters).collect()
    }
}

/// The query; the fields that are read need no decoding.
pub(super) struct Query(pub(super) String);

impl Query {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .into_iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    /// The one object of a collection that is asked for, which a kubelet takes the
    /// first of a list for
    /// ([field selectors](https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/)).
    pub(super) fn only(&self) -> Option<&str> {
        let name = self.get("fieldSelector")?.strip_prefix("metadata.name%3D");
        name.filter(|name| !name.contains('%'))
    }

    pub(super) fn says(&self, name: &str) -> bool {
        matches!(self.get(name), Some("1" | "true"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_object_is_asked_for_by_name() {
        let only = |text: &str| Query(text.to_owned()).only().map(str::to_owned);
        let csr = only("allowWatchBookmarks=true&fieldSelector=metadata.name%3Dcsr-1&watch=true");
        assert_eq!(csr.as_deref(), Some("csr-1"));
        assert_eq!(only("fieldSelector=spec.nodeName%3Dnode-0"), None);
        assert_eq!(only("fieldSelector=metadata.name%3Da%2Cx%3Dy"), None);
        assert_eq!(only("limit=500"), None);
    }

    #[test]
    fn paths_are_taken_apart() {
        let route = Route::of("/api/v1/nodes/node-0/status").unwrap();
        assert_eq!(route.path, "/api/v1/nodes/node-0");
        assert_eq!(route.subresource.as_deref(), Some("status"));
        let lease = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/node-0";
        let route = Route::of(lease).unwrap();
        assert_eq!(
            (route.path.as_str(), route.kind().as_str()),
            (lease, "Lease")
        );
        assert_eq!(route.api_version, "coordination.k8s.io/v1");
        let all = Route::of("/apis/discovery.k8s.io/v1/endpointslices").unwrap();
        assert_eq!(
            (all.name.clone(), all.kind().as_str()),
            (None, "EndpointSlice")
        );
        // A namespace itself, and paths that are not objects.
        let own = Route::of("/api/v1/namespaces/default").unwrap();
        assert_eq!(own.kind(), "Namespace");
        for odd in [
            "/",
            "/api",
            "/api/v1",
            "/version",
            "/apis/a",
            "/a/b/c/d/e/f",
        ] {
            assert_eq!(Route::of(odd), None, "{odd}");
        }
    }
}
