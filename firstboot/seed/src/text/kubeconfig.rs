//! kubeconfig files: made from certificates, or read when the seed brings one.
//!
//! Spec: <https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/>.
//!
//! # Invariants
//! Only the context that will be used is read; errors never quote a value.
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::text::secret::Secret;
use crate::text::yaml::{self, Kind, Node};

/// Where certificate data of a kubeconfig comes from.
pub enum Material<'a> {
    /// Path of a file on the node.
    File(&'a str),
    /// PEM text, embedded as base64.
    Pem(&'a str),
}

pub struct Parts<'a> {
    /// Name of the user entry, such as `system:node:node-0`.
    pub user: &'a str,
    pub server: &'a str,
    pub ca: Material<'a>,
    pub login: Login<'a>,
}

/// The user's credentials.
pub enum Login<'a> {
    Certificate {
        cert: Material<'a>,
        key: Material<'a>,
    },
    Token(&'a str),
}

/// Writes a kubeconfig with one cluster, one user and one context.
pub fn write(parts: &Parts<'_>) -> Secret {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let line = |name: &str, material: &Material<'_>| match material {
        Material::File(path) => format!("    {name}: {}\n", quoted(path)),
        Material::Pem(text) => format!("    {name}-data: {}\n", STANDARD.encode(text)),
    };
    let login = match &parts.login {
        Login::Certificate { cert, key } => {
            line("client-certificate", cert) + &line("client-key", key)
        }
        Login::Token(token) => format!("    token: {}\n", quoted(token)),
    };
    let user = quoted(parts.user);
    Secret::new(format!(
        "apiVersion: v1\nkind: Config\n\
         clusters:\n- name: cluster\n  cluster:\n    server: {server}\n{ca}\
         users:\n- name: {user}\n  user:\n{login}\
         contexts:\n- name: default\n  context:\n    cluster: cluster\n    user: {user}\n\
         current-context: default\n",
        server = quoted(parts.server),
        ca = line("certificate-authority", &parts.ca),
    ))
}

/// The content of a kubeconfig's current context.
#[derive(Default)]
pub struct Kubeconfig {
    pub server: String,
    pub skips_tls: bool,
    pub ca: Option<Secret>,
    pub cert: Option<Secret>,
    pub key: Option<Secret>,
    /// Whether a token, a token file or a command is given in place of a certificate.
    pub other_login: bool,
    /// Files named instead of embedded: the key, the path, and the line.
    pub files: Vec<(&'static str, String, usize)>,
}

/// What is wrong with a kubeconfig, and in which line of it, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeconfigError {
    pub line: usize,
    pub reason: String,
}

pub fn read(text: &str) -> Result<Kubeconfig, KubeconfigError> {
    let root = yaml::parse(text)
        .map_err(|error| fail(error.line, format!("is not valid YAML: {}", error.reason)))?
        .ok_or_else(|| fail(1, "is empty"))?;
    if text_of(&root, "kind") != Some("Config") {
        return Err(fail(
            root.line,
            "is not a kubeconfig (`kind: Config` is missing)",
        ));
    }
    let Some(current) = text_of(&root, "current-context").filter(|name| !name.is_empty()) else {
        return Err(fail(root.line, "names no `current-context`"));
    };
    let context = named(&root, "contexts", "context", current)?;
    let linked = |key: &str| {
        text_of(context, key)
            .ok_or_else(|| fail(context.line, format!("has a context without `{key}`")))
    };
    let cluster = named(&root, "clusters", "cluster", linked("cluster")?)?;
    let user = named(&root, "users", "user", linked("user")?)?;
    let mut found = Kubeconfig::default();
    let Some(server) = text_of(cluster, "server") else {
        return Err(fail(cluster.line, "has a cluster without `server`"));
    };
    found.server = server.to_owned();
    found.skips_tls = cluster
        .get("insecure-skip-tls-verify")
        .and_then(|node| node.scalar()?.boolean())
        .unwrap_or(false);
    found.ca = material(
        cluster,
        "certificate-authority",
        "certificate-authority-data",
        &mut found.files,
    )?;
    found.cert = material(
        user,
        "client-certificate",
        "client-certificate-data",
        &mut found.files,
    )?;
    found.key = material(user, "client-key", "client-key-data", &mut found.files)?;
    found.other_login = ["token", "tokenFile", "exec", "auth-provider", "username"]
        .iter()
        .any(|key| user.get(key).is_some());
    let by_file = |key: &str| found.files.iter().any(|(name, ..)| *name == key);
    let no_cert = found.cert.is_none() && !by_file("client-certificate");
    let no_key = found.key.is_none() && !by_file("client-key");
    if !found.other_login && (no_cert || no_key) {
        return Err(fail(
            user.line,
            "has a user with neither certificate and key nor token",
        ));
    }
    Ok(found)
}

fn fail(line: usize, reason: impl Into<String>) -> KubeconfigError {
    KubeconfigError {
        line,
        reason: reason.into(),
    }
}

fn text_of<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    node.get(key)?.scalar().map(|scalar| scalar.text.expose())
}

/// The `part` of the entry with this name in one of the three lists.
fn named<'a>(
    root: &'a Node,
    list: &str,
    part: &str,
    name: &str,
) -> Result<&'a Node, KubeconfigError> {
    let Some(Kind::Sequence(items)) = root.get(list).map(|node| &node.kind) else {
        return Err(fail(root.line, format!("has no list `{list}`")));
    };
    items
        .iter()
        .find(|item| text_of(item, "name") == Some(name))
        .and_then(|item| item.get(part))
        .filter(|node| node.entries().is_some())
        .ok_or_else(|| {
            fail(
                root.line,
                format!("has no entry in `{list}` with the name that the current context asks for"),
            )
        })
}

/// Embedded PEM; a path instead of it goes to `files`.
fn material(
    node: &Node,
    file_key: &'static str,
    data_key: &str,
    files: &mut Vec<(&'static str, String, usize)>,
) -> Result<Option<Secret>, KubeconfigError> {
    if let Some(data) = node.get(data_key) {
        let decoded = data
            .scalar()
            .and_then(|scalar| STANDARD.decode(scalar.text.expose().trim()).ok())
            .map(Zeroizing::new)
            .and_then(|bytes| String::from_utf8(bytes.to_vec()).ok());
        return match decoded {
            Some(text) => Ok(Some(Secret::new(text))),
            None => Err(fail(
                data.line,
                format!("has a `{data_key}` that is not base64-encoded text"),
            )),
        };
    }
    if let Some(file) = node.get(file_key) {
        let path = file
            .scalar()
            .map(|scalar| scalar.text.expose().to_owned())
            .unwrap_or_default();
        files.push((file_key, path, file.line));
    }
    Ok(None)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::{Login, Material, Parts, read, write};

    fn sample() -> String {
        write(&Parts {
            user: "system:kube-proxy",
            server: "https://s:6443",
            ca: Material::Pem("CA"),
            login: Login::Certificate {
                cert: Material::Pem("CERT"),
                key: Material::File("/k"),
            },
        })
        .expose()
        .to_owned()
    }

    #[test]
    fn reads_what_it_writes() {
        let found = read(&sample()).unwrap();
        assert_eq!(found.server, "https://s:6443");
        assert_eq!(found.ca.unwrap().expose(), "CA");
        assert_eq!(found.cert.unwrap().expose(), "CERT");
        assert_eq!(found.files, [("client-key", "/k".to_owned(), 12)]);
        assert!(!found.other_login && !found.skips_tls);
    }

    #[test]
    fn written_text() {
        assert_eq!(
            sample(),
            "apiVersion: v1\nkind: Config\nclusters:\n- name: cluster\n  cluster:\n    \
             server: \"https://s:6443\"\n    certificate-authority-data: Q0E=\nusers:\n\
             - name: \"system:kube-proxy\"\n  user:\n    client-certificate-data: Q0VSVA==\n    \
             client-key: \"/k\"\ncontexts:\n- name: default\n  context:\n    cluster: cluster\n    \
             user: \"system:kube-proxy\"\ncurrent-context: default\n"
        );
    }

    #[test]
    fn refuses() {
        for (from, to, expected) in [
            ("kind: Config", "kind: Pod", "is not a kubeconfig"),
            ("current-context: default", "", "names no `current-context`"),
            (
                "current-context: default",
                "current-context: other",
                "no entry in `contexts`",
            ),
            ("- name: cluster", "- name: c", "no entry in `clusters`"),
            ("server:", "address:", "without `server`"),
            (
                "client-key:",
                "client-lock:",
                "neither certificate and key nor token",
            ),
            ("Q0VSVA==", "Q0!!", "not base64"),
            ("users:", "user:", "has no list `users`"),
            ("kind: Config", "kind: [", "is not valid YAML"),
        ] {
            let error = read(&sample().replacen(from, to, 1)).err().unwrap();
            assert!(error.reason.contains(expected), "{from}: {error:?}");
        }
    }
}
