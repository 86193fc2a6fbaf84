//! Data keys that KMS wraps.

use aws_config::SdkConfig;
use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;
use zeroize::Zeroizing;

use crate::problem::AwsProblem;

const MAKE: &str = "kms:GenerateDataKeyWithoutPlaintext";
const OPEN: &str = "kms:Decrypt";

/// A key of KMS that wraps data keys.
#[derive(Clone, Debug)]
pub struct Kms {
    client: Client,
    key: String,
}

/// A data key that only KMS opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey(pub Vec<u8>);

/// What a wrapped key is bound to: KMS opens it for no other table and under no other name.
#[derive(Clone, Copy, Debug)]
pub struct KeyContext<'a> {
    /// The table that it is kept in.
    pub table: &'a str,
    /// What it is called there.
    pub name: &'a str,
}

impl KeyContext<'_> {
    fn pairs(&self) -> [(&'static str, &str); 2] {
        [("device-grant:table", self.table), ("device-grant:key", self.name)]
    }
}

impl Kms {
    /// The key of this id, ARN or alias.
    pub fn new(config: &SdkConfig, key: impl Into<String>) -> Self {
        Self { client: Client::new(config), key: key.into() }
    }

    /// What the configuration calls the key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// A data key of 32 bytes that nobody has seen yet.
    pub async fn make(&self, context: KeyContext<'_>) -> Result<WrappedKey, AwsProblem> {
        let mut call =
            self.client.generate_data_key_without_plaintext().key_id(&self.key).key_spec(DataKeySpec::Aes256);
        for (name, value) in context.pairs() {
            call = call.encryption_context(name, value);
        }
        let made = call.send().await.map_err(|error| AwsProblem::of(MAKE, self.resource(), &error))?;
        let wrapped = made.ciphertext_blob.map(|blob| WrappedKey(blob.into_inner()));
        wrapped.ok_or_else(|| AwsProblem::unusable(MAKE, self.resource(), "its answer has no data key"))
    }

    /// The 32 bytes of a data key. Whatever was wrapped by another key of KMS, for another table or under another name is
    /// [`Blame::Unusable`](crate::Blame::Unusable).
    pub async fn open(
        &self,
        wrapped: &WrappedKey,
        context: KeyContext<'_>,
    ) -> Result<Zeroizing<[u8; 32]>, AwsProblem> {
        let mut call = self.client.decrypt().key_id(&self.key).ciphertext_blob(Blob::new(wrapped.0.clone()));
        for (name, value) in context.pairs() {
            call = call.encryption_context(name, value);
        }
        let opened = call.send().await.map_err(|error| AwsProblem::of(OPEN, self.resource(), &error))?;
        let plain = opened.plaintext.map(|blob| Zeroizing::new(blob.into_inner()));
        let bytes = plain.and_then(|plain| <[u8; 32]>::try_from(plain.as_slice()).ok());
        bytes
            .map(Zeroizing::new)
            .ok_or_else(|| AwsProblem::unusable(OPEN, self.resource(), "a data key is not of 32 bytes"))
    }

    fn resource(&self) -> String {
        format!("the KMS key {}", self.key)
    }
}
