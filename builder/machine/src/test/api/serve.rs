//! Connections and requests.

use std::convert::Infallible;
use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use nodeimg_seed::text::x509::Certificate;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::Shared;
use super::access::{ANONYMOUS, by_certificate, by_token, may, may_be};
use super::answer::{Answer, failure, json_answer, response, status_object, whole};
use super::route::{Query, Route};
use super::store::Caller;
use super::wire::Object;
use nodeimg_seed::write::Pair;

/// Larger than any object of a node.
const MAX_BODY: usize = 3 << 20;
/// How long a watch without a timeout is held open.
const WATCH: u64 = 300;
const KUBELET_CLIENT: &str = "kubernetes.io/kube-apiserver-client-kubelet";

/// Asks for client certificates of the same CA, and does not insist.
pub(super) fn tls(ca: &str, own: &Pair) -> Result<TlsAcceptor> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    for cert in CertificateDer::pem_slice_iter(ca.as_bytes()) {
        roots.add(cert.context("reading the CA")?)?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .context("trusting the CA")?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(own.cert.as_bytes()).collect();
    let key = PrivateKeyDer::from_pem_slice(own.key.expose().as_bytes());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain?, key?)
        .context("using the API server's certificate")?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

pub(super) async fn serve(listener: StdListener, tls: TlsAcceptor, shared: Arc<Shared>) {
    let Ok(listener) = TcpListener::from_std(listener) else {
        return;
    };
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of files, most likely; those there are will be given back.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(stream).await else {
                return;
            };
            let certs = stream.get_ref().1.peer_certificates();
            let caller = certs.and_then(|certs| by_certificate(certs.first()?));
            let service = service_fn(move |request| {
                let (shared, caller) = (Arc::clone(&shared), caller.clone());
                async move { Ok::<_, Infallible>(noted(request, caller, shared).await) }
            });
            let http = hyper::server::conn::http1::Builder::new();
            // A caller that is gone needs no answer.
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn noted(
    request: Request<Incoming>,
    certified: Option<Caller>,
    shared: Arc<Shared>,
) -> Response<Answer> {
    let what = format!("{} {}", request.method(), request.uri());
    let caller = certified.or_else(|| by_token(request.headers(), &shared.token));
    let name = caller
        .as_ref()
        .map_or("nobody", |caller| &caller.name)
        .to_owned();
    let path = request.uri().path();
    let answer = match caller {
        Some(caller) if may(&caller, request.method(), path) => {
            answer(request, caller, Arc::clone(&shared)).await
        }
        Some(caller) if caller.name != ANONYMOUS => failure(StatusCode::FORBIDDEN, "Forbidden"),
        _ => failure(StatusCode::UNAUTHORIZED, "Unauthorized"),
    };
    shared.note(&name, &what, answer.status().as_u16());
    answer
}

async fn answer(
    request: Request<Incoming>,
    caller: Caller,
    shared: Arc<Shared>,
) -> Response<Answer> {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let what = format!("{method} {}", uri.path());
    shared
        .store()
        .callers
        .entry(caller.name.clone())
        .or_insert(what);
    let Some(route) = Route::of(uri.path()) else {
        return other(uri.path());
    };
    let query = Query(uri.query().unwrap_or_default().to_owned());
    match method {
        Method::GET if route.name.is_none() => collection(&route, &query, &shared),
        Method::GET => match shared.store().get(&route.path) {
            Some(found) => json_answer(StatusCode::OK, found),
            None => failure(StatusCode::NOT_FOUND, "NotFound"),
        },
        Method::POST | Method::PUT | Method::PATCH => {
            let body = Limited::new(request.into_body(), MAX_BODY).collect().await;
            match body {
                Ok(body) => changed(&method, &route, &body.to_bytes(), &caller, &shared),
                Err(_) => failure(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge"),
            }
        }
        Method::DELETE => json_answer(StatusCode::OK, &status_object("Success", "", 200)),
        _ => failure(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
    }
}

/// The answer to a request for something that is not an object.
fn other(path: &str) -> Response<Answer> {
    match path {
        "/healthz" | "/livez" | "/readyz" => whole(StatusCode::OK, "text/plain", "ok".to_owned()),
        "/version" => {
            let version = json!({ "major": "1", "minor": "37", "gitVersion": "v1.37.0" });
            json_answer(StatusCode::OK, &version)
        }
        _ => failure(StatusCode::NOT_FOUND, "NotFound"),
    }
}

fn collection(route: &Route, query: &Query, shared: &Arc<Shared>) -> Response<Answer> {
    if !query.says("watch") {
        let kind = route.kind();
        let of = (route.api_version.as_str(), kind.as_str());
        let list = shared.store().list(&route.path, query.only(), of);
        return json_answer(StatusCode::OK, &list);
    }
    let initial = query.says("sendInitialEvents");
    let version = query
        .get("resourceVersion")
        .and_then(|text| text.parse().ok());
    let from = if initial { 0 } else { version.unwrap_or(0) };
    let seconds = query
        .get("timeoutSeconds")
        .and_then(|text| text.parse().ok());
    let (to, events) = mpsc::channel(16);
    let bookmark = initial.then(|| (route.api_version.clone(), route.kind()));
    let watch = Watch {
        path: route.path.clone(),
        only: query.only().map(str::to_owned),
        bookmark,
        from,
        to,
    };
    let open = Duration::from_secs(seconds.unwrap_or(WATCH).min(3600));
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let _ = timeout(open, watch.run(shared)).await;
    });
    response(StatusCode::OK, "application/json", Answer::Watch(events))
}

/// A watch that is held open.
struct Watch {
    path: String,
    only: Option<String>,
    /// Version and kind, if the end of the initial events is to be marked.
    bookmark: Option<(String, String)>,
    from: u64,
    to: mpsc::Sender<Bytes>,
}

impl Watch {
    async fn run(mut self, shared: Arc<Shared>) {
        let mut changed = shared.changed.subscribe();
        loop {
            let (mut events, now) =
                shared
                    .store()
                    .since(&self.path, self.only.as_deref(), self.from);
            self.from = now;
            if let Some((api_version, kind)) = self.bookmark.take() {
                let annotations = json!({ "k8s.io/initial-events-end": "true" });
                let metadata = json!({ "resourceVersion": now.max(1).to_string(), "annotations": annotations });
                let object =
                    json!({ "apiVersion": api_version, "kind": kind, "metadata": metadata });
                events.push(json!({ "type": "BOOKMARK", "object": object }));
            }
            for event in events {
                if self.to.send(format!("{event}\n").into()).await.is_err() {
                    return;
                }
            }
            if changed.changed().await.is_err() || self.to.is_closed() {
                return;
            }
        }
    }
}

fn changed(
    method: &Method,
    route: &Route,
    body: &[u8],
    caller: &Caller,
    shared: &Shared,
) -> Response<Answer> {
    let code = match *method {
        Method::POST => StatusCode::CREATED,
        _ => StatusCode::OK,
    };
    if *method == Method::PATCH {
        return patched(route, body, caller, shared);
    }
    let Some(mut object) = Object::read(body) else {
        return failure(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType");
    };
    if object.api_version.is_empty() {
        object.api_version.clone_from(&route.api_version);
    }
    if object.kind.is_empty() {
        object.kind = route.kind();
    }
    let path = match &route.name {
        Some(_) => route.path.clone(),
        None if !object.name.is_empty() => format!("{}/{}", route.path, object.name),
        None => {
            let serial = shared.changed.borrow().wrapping_add(1);
            format!("{}/{}{serial:05}", route.path, object.generate_name)
        }
    };
    let value = match route.resource.as_str() {
        "nodes" => {
            let name = path.rsplit('/').next().unwrap_or_default();
            if !may_be(caller, name) {
                return failure(StatusCode::FORBIDDEN, "Forbidden");
            }
            shared.store().node_registered(&path, &object, caller)
        }
        "certificatesigningrequests" if object.signer == KUBELET_CLIENT => {
            match signed(&path, &object, shared) {
                Some(value) => value,
                None => return failure(StatusCode::BAD_REQUEST, "BadRequest"),
            }
        }
        _ => shared.store().put(&path, &object, json!({})),
    };
    shared.touch();
    json_answer(code, &value)
}

fn signed(path: &str, object: &Object, shared: &Shared) -> Option<Value> {
    let cert = shared
        .authority
        .sign_client(&object.request, shared.validity)
        .ok()?;
    let der = nodeimg_seed::text::pem::certificates(&cert)
        .into_iter()
        .next()?
        .1;
    let subject = Certificate::read(&der)?.common_name;
    Some(shared.store().request_signed(path, object, &cert, &subject))
}

/// A Node's status is looked at, its labels and annotations are kept; anything
/// else stays as it is.
fn patched(route: &Route, body: &[u8], caller: &Caller, shared: &Shared) -> Response<Answer> {
    let name = route.name.as_deref().unwrap_or_default();
    if route.resource == "nodes" {
        if !may_be(caller, name) {
            return failure(StatusCode::FORBIDDEN, "Forbidden");
        }
        let patch = serde_json::from_slice(body).unwrap_or_default();
        shared.store().node_patched(name, &patch);
        if shared.store().metadata_patched(&route.path, &patch) {
            shared.touch();
        }
    }
    match shared.store().get(&route.path) {
        Some(found) => json_answer(StatusCode::OK, found),
        None => failure(StatusCode::NOT_FOUND, "NotFound"),
    }
}
