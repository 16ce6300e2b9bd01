//! TLS with the one host that started the provider: nobody else gets an answer.

use crate::start::{Toy, connect_with_tls, within};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use plugin::proto::tfplugin6::get_metadata;
use plugin::proto::tfplugin6::provider_client::ProviderClient;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// A certificate as Terraform makes it: P-521, signed by itself, marked as an authority.
struct Identity {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Identity {
    fn new() -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        Self { certificate: params.self_signed(&key).unwrap(), key }
    }

    fn pem(&self) -> String {
        let text = STANDARD.encode(self.certificate.der());
        format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
    }
}

/// A host's side of the connection.
#[derive(Clone)]
pub(crate) struct Client {
    config: Arc<ClientConfig>,
}

impl Client {
    fn new(toy: &Toy, certificate: Option<&rcgen::Certificate>, key: Option<&KeyPair>) -> Self {
        let server = STANDARD_NO_PAD.decode(&toy.fields[5]).expect("a certificate, unpadded");
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = PinnedServer {
            certificate: CertificateDer::from(server),
            provider: Arc::clone(&provider),
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match certificate.zip(key) {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                // The pair is not checked here: a thief has the one without the other.
                let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
                let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
                let pair = CertifiedKey::new(vec![certificate.der().clone()], key);
                config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(pair)))
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Self { config: Arc::new(config) }
    }

    pub(crate) async fn connect(&self, socket: &Path) -> io::Result<TlsStream<UnixStream>> {
        let stream = UnixStream::connect(socket).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::clone(&self.config)).connect(name, stream).await
    }

    /// What the server does with it. In TLS 1.3 a client has finished before the server has looked
    /// at its certificate, so the answer comes with the first bytes.
    async fn first_byte(&self, socket: &Path) -> io::Result<u8> {
        let mut stream = within(self.connect(socket)).await?;
        within(stream.read_u8()).await
    }
}

async fn start(host: &Identity) -> Toy {
    Toy::start_with(&[("PLUGIN_CLIENT_CERT", &host.pem())]).await
}

#[tokio::test]
async fn the_host_is_served_and_nobody_else() {
    let (host, stranger) = (Identity::new(), Identity::new());
    let toy = start(&host).await;
    let client = Client::new(&toy, Some(&host.certificate), Some(&host.key));
    let channel = connect_with_tls(toy.socket(), &client).await;
    let mut provider = ProviderClient::new(channel);
    let metadata = provider.get_metadata(get_metadata::Request {}).await.unwrap().into_inner();
    assert_eq!(metadata.resources[0].type_name, "toy_shelf");

    let nameless = Client::new(&toy, None, None);
    let error = nameless.first_byte(toy.socket()).await.unwrap_err();
    assert!(error.to_string().contains("CertificateRequired"), "{error}");

    let other = Client::new(&toy, Some(&stranger.certificate), Some(&stranger.key));
    let error = other.first_byte(toy.socket()).await.unwrap_err();
    assert!(error.to_string().contains("AccessDenied"), "{error}");

    // The certificate is no secret; whoever shows it must have its key.
    let thief = Client::new(&toy, Some(&host.certificate), Some(&stranger.key));
    let error = thief.first_byte(toy.socket()).await.unwrap_err();
    assert!(error.to_string().contains("alert"), "{error}");

    // And without TLS there is no answer at all.
    let mut plain = UnixStream::connect(toy.socket()).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut plain, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _ = within(plain.read_to_end(&mut answer)).await;
    let record = answer.first();
    assert!(record.is_none_or(|kind| *kind == 0x15), "an alert at most: {answer:?}");

    provider.get_metadata(get_metadata::Request {}).await.unwrap();
}

#[tokio::test]
async fn a_stranger_who_comes_first_does_not_end_the_process() {
    let host = Identity::new();
    let toy = start(&host).await;
    Client::new(&toy, None, None).first_byte(toy.socket()).await.unwrap_err();
    let client = Client::new(&toy, Some(&host.certificate), Some(&host.key));
    let mut provider = ProviderClient::new(connect_with_tls(toy.socket(), &client).await);
    provider.get_metadata(get_metadata::Request {}).await.unwrap();
}

#[tokio::test]
async fn each_process_has_a_certificate_of_its_own() {
    let host = Identity::new();
    let (first, second) = (start(&host).await, start(&host).await);
    assert_ne!(first.fields[5], second.fields[5]);
}

#[derive(Debug)]
struct PinnedServer {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        assert_eq!(*end_entity, self.certificate, "it is the handshake line's");
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
