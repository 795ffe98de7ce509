//! `CredentialProviderConfig` v1 and the kubelet's flags for it.
//!
//! <https://kubernetes.io/docs/reference/config-api/kubelet-config.v1/>

use anyhow::{Context, Result};
use nodeimg_seed::contract::profile::Service;
use serde::Serialize;

use super::{Generated, kubelet};
use crate::input::recipe::Recipe;
use crate::input::recipe::credential_provider::{
    CacheBy, CredentialProvider, DIRECTORY, GoDuration, ProviderApi, ServiceAccount,
};

const PATH: &str = "/usr/lib/nodeimg/credential-providers.yaml";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CredentialProviderConfig<'a> {
    api_version: &'static str,
    kind: &'static str,
    providers: Vec<Provider<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Provider<'a> {
    name: &'a str,
    match_images: &'a [String],
    default_cache_duration: String,
    api_version: &'static str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    args: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    env: Vec<Variable<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_attributes: Option<TokenAttributes<'a>>,
}

#[derive(Serialize)]
struct Variable<'a> {
    name: &'a str,
    value: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TokenAttributes<'a> {
    service_account_token_audience: &'a str,
    cache_type: CacheBy,
    require_service_account: bool,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    required_service_account_annotation_keys: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    optional_service_account_annotation_keys: &'a [String],
}

/// Nothing if the recipe has no credential providers.
pub fn generate(recipe: &Recipe) -> Result<Vec<Generated>> {
    if recipe.credential_providers.is_empty() {
        return Ok(Vec::new());
    }
    let config = CredentialProviderConfig {
        api_version: "kubelet.config.k8s.io/v1",
        kind: "CredentialProviderConfig",
        providers: recipe.credential_providers.iter().map(provider).collect(),
    };
    let text = serde_saphyr::to_string(&config).context("writing the credential providers")?;
    let mut files = vec![Generated {
        path: PATH,
        text,
        link: None,
        key: "credential_provider",
    }];
    // Where kubeadm writes the kubelet's configuration, its flags are still the image's.
    if !recipe.profile.has_service(Service::Kubelet) {
        files.push(kubelet::environment_file(recipe));
    }
    Ok(files)
}

/// For the kubelet, if there are any.
pub fn flags(recipe: &Recipe) -> Vec<String> {
    match recipe.credential_providers.is_empty() {
        true => Vec::new(),
        false => vec![
            format!("--image-credential-provider-config={PATH}"),
            format!("--image-credential-provider-bin-dir={DIRECTORY}"),
        ],
    }
}

fn provider(provider: &CredentialProvider) -> Provider<'_> {
    let env = provider.env.iter();
    Provider {
        name: provider.name.as_str(),
        match_images: &provider.match_images,
        default_cache_duration: provider
            .cache
            .as_ref()
            .map_or_else(|| "0".to_owned(), GoDuration::to_string),
        api_version: match provider.api_version.unwrap_or_default() {
            ProviderApi::V1alpha1 => "credentialprovider.kubelet.k8s.io/v1alpha1",
            ProviderApi::V1beta1 => "credentialprovider.kubelet.k8s.io/v1beta1",
            ProviderApi::V1 => "credentialprovider.kubelet.k8s.io/v1",
        },
        args: &provider.args,
        env: env.map(|(name, value)| Variable { name, value }).collect(),
        token_attributes: provider.service_account.as_ref().map(token_attributes),
    }
}

fn token_attributes(account: &ServiceAccount) -> TokenAttributes<'_> {
    TokenAttributes {
        service_account_token_audience: &account.audience,
        cache_type: account.cache_by,
        require_service_account: account.required,
        required_service_account_annotation_keys: &account.required_annotations,
        optional_service_account_annotation_keys: &account.optional_annotations,
    }
}
