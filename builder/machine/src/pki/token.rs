//! Bootstrap tokens, with which a node asks a cluster for its certificate
//! ([Kubernetes](https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/)).

use anyhow::{Result, anyhow, bail};
use nodeimg_seed::text::secret::Secret;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::json;
use zeroize::Zeroizing;

const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
const ID: usize = 6;
const LENGTH: usize = 16;
/// Groups of those who join by a token; the API server refuses others.
const GROUP: &str = "system:bootstrappers:";

/// `ID.SECRET`
pub struct Token(Secret);

impl Token {
    /// A new one.
    pub fn generate() -> Result<Token> {
        let text = format!("{}.{}", letters(ID)?, letters(LENGTH)?);
        Ok(Token(Secret::new(text)))
    }

    /// The whole token.
    pub fn text(&self) -> &str {
        self.0.expose()
    }

    /// The part that is not secret.
    pub fn id(&self) -> &str {
        &self.text()[..ID]
    }

    /// The Secret that makes a cluster accept it until `expiration` (RFC 3339), as JSON.
    ///
    /// # Errors
    /// A group that is not below `system:bootstrappers:`.
    pub fn object(&self, expiration: &str, groups: &[String]) -> Result<Secret> {
        if let Some(other) = groups.iter().find(|group| !group.starts_with(GROUP)) {
            bail!("`{other}` is not a group of tokens: its name must begin with {GROUP}");
        }
        let id = self.id();
        let object = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": format!("bootstrap-token-{id}"), "namespace": "kube-system" },
            "type": "bootstrap.kubernetes.io/token",
            "stringData": {
                "token-id": id,
                "token-secret": &self.text()[ID + 1..],
                "expiration": expiration,
                "usage-bootstrap-authentication": "true",
                "usage-bootstrap-signing": "true",
                "auth-extra-groups": groups.join(","),
            },
        });
        Ok(Secret::new(serde_json::to_string_pretty(&object)? + "\n"))
    }
}

fn letters(count: usize) -> Result<String> {
    let mut text = String::new();
    let mut bytes = Zeroizing::new([0_u8; 64]);
    while text.len() < count {
        let filled = SystemRandom::new().fill(bytes.as_mut());
        filled.map_err(|_| anyhow!("the system gave no random numbers"))?;
        // From 252 on, some letters would come more often than others.
        let fair = bytes
            .iter()
            .filter(|byte| usize::from(**byte) < 7 * LETTERS.len());
        let fair = fair.map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]));
        text.extend(fair.take(count - text.len()));
    }
    Ok(text)
}
