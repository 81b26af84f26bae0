//! The operations: join, leave, verify and decrypt.

use std::{
    fmt::Display,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anonymous_domains_client::CommandError as _;
use anonymous_domains_protocol::{
    base64url,
    ids::MachineGuid,
    jwe,
    jwk::{KeyType, PrivateKey},
    jws::SignError,
    problem::ErrorName,
    request::{DeregisterRequest, RegisterRequest},
    response::{DeregisterResponse, RegisterResponse},
};
use x509_cert::der::DateTime;
use zeroize::Zeroizing;

use crate::{
    client::Client,
    credentials,
    domain_url::DomainUrl,
    error::DeviceError,
    membership::{HeldCredential, Membership, Standing},
    state_directory::{Identity, StateDirectory},
};

/// The type of the key of a new identity, unless another is asked for.
pub const DEFAULT_KEY_TYPE: KeyType = KeyType::EcP256;

/// A device: its state directory and a way to talk to domain servers.
pub struct Device {
    state: StateDirectory,
    client: Client,
    /// The CA certificates (DER) that the caller trusts, instead of those stored with a domain.
    trusted: Option<Vec<Vec<u8>>>,
}

/// How to join.
#[derive(Debug, Clone, Copy, Default)]
pub struct JoinOptions {
    /// The type that the device's key must have; `None` for any.
    pub key_type: Option<KeyType>,
    /// Ask only for key versions newer than those on this device, instead of all.
    ///
    /// Asking for all is the default, because it repairs what is missing or damaged. An update
    /// only pays off in domains with very many versions.
    pub update: bool,
}

/// The result of a join.
pub struct Joined {
    /// The machine.
    pub machine_guid: MachineGuid,
    /// Whether the machine was not a member before.
    pub new_member: bool,
    /// What is stored now.
    pub membership: Membership,
    /// Sentences about credentials that are stored although they have expired or are not valid yet, or
    /// although the server no longer has them.
    pub warnings: Vec<String>,
}

/// The result of a leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// The server would let the machine leave; nothing was changed.
    MayLeave,
    /// The machine has left, and its credentials are deleted.
    Left,
    /// The machine was no longer a member; its credentials are deleted.
    WasNoMember,
}

/// The result of verifying one domain's credentials.
pub struct Verification {
    /// What was verified.
    pub membership: Membership,
    /// A sentence for each thing that is wrong.
    pub faults: Vec<String>,
}

impl Device {
    /// A device.
    pub fn new(state: StateDirectory, client: Client) -> Self {
        Self {
            state,
            client,
            trusted: None,
        }
    }

    /// Trusts these CA certificates (DER) for every domain, instead of the stored ones.
    pub fn trusting(mut self, certificates: Vec<Vec<u8>>) -> Self {
        self.trusted = Some(certificates);
        self
    }

    /// The state directory.
    pub fn state_directory(&self) -> &StateDirectory {
        &self.state
    }

    /// Joins a domain, or fetches its credentials again. Nothing is stored before everything is
    /// checked: the chain up to a trusted CA, the certificate's profile, and that each private key
    /// fits its certificate.
    ///
    /// A device that trusts no CA for the domain yet trusts those that it sees first, and no other
    /// later.
    ///
    /// # Errors
    ///
    /// Every [`DeviceError`] but [`DeviceError::LeaveUnfinished`].
    pub fn join(&self, url: &DomainUrl, options: JoinOptions) -> Result<Joined, DeviceError> {
        let _lock = self.state.lock()?;
        let identity = self
            .state
            .identity_or_create(options.key_type.unwrap_or(DEFAULT_KEY_TYPE))?;
        if let Some(kind) = options.key_type
            && identity.key.public_key().key_type() != Some(kind)
        {
            return Err(DeviceError::Usage(format!(
                "This device already has a key of another type than {kind}, and a device's key never changes. Omit --key-type, or use another directory."
            )));
        }
        let held = self.state.membership(url)?;
        let known = held
            .as_ref()
            .filter(|_| options.update)
            .and_then(Membership::known_version);
        let mut answer = self.register(url, &identity, held.as_ref(), known)?;
        let mut credentials = Vec::new();
        if let (Some(known), Some(held)) = (known, &held) {
            if continues(&answer, held, known) {
                let is_known = |held: &&HeldCredential| held.credential.key_version <= known;
                credentials.extend(held.credentials.iter().filter(is_known).cloned());
            } else {
                // The stored versions are of an earlier domain with the same name.
                let was_added = answer.new_member;
                answer = self.register(url, &identity, Some(held), None)?;
                answer.new_member |= was_added;
            }
        }
        credentials.extend(credentials::open(&answer, url, &identity)?);
        let anchors = self.anchors(held.as_ref(), &credentials);
        let mut warnings = Vec::new();
        for credential in &credentials {
            let version = credential.credential.key_version;
            credentials::check(credential, url.domain(), &anchors).map_err(|why| {
                DeviceError::Untrusted(format!(
                    "The credentials of {} were not stored: version {version}: {why}.",
                    url.domain()
                ))
            })?;
            if let Err(why) = credentials::check_dates(credential, now().as_secs()) {
                warnings.push(format!("version {version}: {why}"));
            }
        }
        if credentials.is_empty() {
            return Err(DeviceError::Untrusted(format!(
                "The server gave no credentials of {}.",
                url.domain()
            )));
        }
        for later in held.map_or_else(Vec::new, |held| later_versions(held, &credentials)) {
            let version = later.credential.key_version;
            warnings.push(format!(
                "version {version}: kept, although the server no longer has it"
            ));
            credentials.push(later);
        }
        let membership = Membership {
            url: url.as_str().to_owned(),
            domain: url.domain().clone(),
            standing: Standing::Member,
            registered_at: Some(answer.registered_at),
            ca_certificates: anchors
                .iter()
                .map(|der| base64url::encode_standard(der))
                .collect(),
            credentials,
            server_key_version: Some(answer.key_version),
        };
        self.state.save(url, &membership)?;
        Ok(Joined {
            machine_guid: identity.guid,
            new_member: answer.new_member,
            membership,
            warnings,
        })
    }

    /// Leaves a domain in two phases. It asks first; if the server agrees, it deletes the domain's
    /// credentials, and only then has itself removed. If the second answer is lost, the state
    /// directory remembers it, and leaving again finishes the leave.
    ///
    /// With `preview`, it only asks.
    ///
    /// # Errors
    ///
    /// Every [`DeviceError`]; before the credentials are deleted nothing has changed, after it the
    /// error is [`DeviceError::LeaveUnfinished`].
    pub fn leave(&self, url: &DomainUrl, preview: bool) -> Result<Left, DeviceError> {
        let _lock = self.state.lock()?;
        let identity = self.state.identity()?.ok_or_else(|| {
            DeviceError::Local(format!(
                "No device in {} has ever joined a domain, so there is nothing to leave. Name the device's directory with --dir.",
                self.state.path().display()
            ))
        })?;
        let held = self.state.membership(url)?;
        let registered_at = held.as_ref().and_then(|held| held.registered_at.clone());
        let registered_at = registered_at.as_deref();
        let agreed = held
            .as_ref()
            .is_some_and(|held| held.standing == Standing::Leaving);
        if preview || !agreed {
            self.deregister(url, &identity, registered_at, true)?;
            if preview {
                return Ok(Left::MayLeave);
            }
            self.state.save(
                url,
                &Membership {
                    url: url.as_str().to_owned(),
                    domain: url.domain().clone(),
                    standing: Standing::Leaving,
                    registered_at: registered_at.map(str::to_owned),
                    ca_certificates: Vec::new(),
                    credentials: Vec::new(),
                    server_key_version: None,
                },
            )?;
        }
        let left = match self.deregister(url, &identity, registered_at, false) {
            Ok(()) => Left::Left,
            // The server agreed before, and the machine is no longer a member: the answer to an
            // earlier attempt was lost, or an operator removed it.
            Err(error) if error.is_refusal(ErrorName::DeregDenied) => Left::WasNoMember,
            Err(error) => return Err(DeviceError::LeaveUnfinished(Box::new(error))),
        };
        self.state.forget(url)?;
        Ok(left)
    }

    /// Deletes what is stored of a domain without asking its server.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Local`].
    pub fn forget(&self, url: &DomainUrl) -> Result<(), DeviceError> {
        let _lock = self.state.lock()?;
        self.state.forget(url)
    }

    /// What is stored of one domain, or of all.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Local`], also if nothing is stored of the one domain.
    pub fn memberships(&self, url: Option<&DomainUrl>) -> Result<Vec<Membership>, DeviceError> {
        let Some(url) = url else {
            return self.state.memberships();
        };
        match self.state.membership(url)? {
            Some(membership) => Ok(vec![membership]),
            None => Err(DeviceError::Local(format!(
                "This device holds nothing of {url}: domain-device show lists its domains."
            ))),
        }
    }

    /// Verifies the credentials of one domain, or of all, without asking anyone: the chain up to a
    /// trusted CA, the certificates' profile and dates, and that each private key fits.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Local`]. Credentials that do not verify are faults, not errors.
    pub fn verify(&self, url: Option<&DomainUrl>) -> Result<Vec<Verification>, DeviceError> {
        let verify = |membership: Membership| {
            let anchors = self.anchors(Some(&membership), &[]);
            let mut faults = Vec::new();
            for held in &membership.credentials {
                let checks = [
                    credentials::check(held, &membership.domain, &anchors),
                    credentials::check_dates(held, now().as_secs()),
                ];
                for why in checks.into_iter().filter_map(Result::err) {
                    faults.push(format!("version {}: {why}", held.credential.key_version));
                }
            }
            if membership.standing == Standing::Member && membership.credentials.is_empty() {
                faults.push("there are no credentials".to_owned());
            }
            Verification { membership, faults }
        };
        Ok(self.memberships(url)?.into_iter().map(verify).collect())
    }

    /// Decrypts a compact JWE (RFC 7516) with the domain key that its `kid` names, such as
    /// `living-room/2`, of one domain or of any. Asks nobody.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Local`] when this device does not hold that key, [`DeviceError::Usage`] when
    /// this is no JWE to it.
    pub fn decrypt(
        &self,
        url: Option<&DomainUrl>,
        compact: &str,
    ) -> Result<Zeroizing<Vec<u8>>, DeviceError> {
        let wrong = |why: &dyn Display| DeviceError::Usage(format!("Cannot decrypt this: {why}."));
        let kid = jwe::key_id(compact).map_err(|error| wrong(&error))?;
        let kid = kid.ok_or_else(|| wrong(&"it names no key (kid)"))?;
        let mut failed = None;
        for membership in self.memberships(url)? {
            let mut held = membership.credentials.iter();
            let Some(held) = held.find(|held| held.credential.kid == kid) else {
                continue;
            };
            // Servers can have domains of the same name, so another one may fit.
            let key = PrivateKey::from_pem(&held.private_key).map_err(|error| {
                DeviceError::Local(format!("The key {kid} is damaged: {error}."))
            })?;
            match jwe::decrypt(compact, &key) {
                Ok(content) => return Ok(content),
                Err(error) => failed = Some(wrong(&error)),
            }
        }
        Err(failed.unwrap_or_else(|| {
            DeviceError::Local(format!(
                "This device has no key {kid}. A member gets new keys when it joins again."
            ))
        }))
    }

    /// The CA certificates (DER) to trust: the caller's, or those stored with the domain, or else
    /// the last certificate of each chain: between two CAs a domain's versions have both.
    fn anchors(&self, held: Option<&Membership>, credentials: &[HeldCredential]) -> Vec<Vec<u8>> {
        if let Some(trusted) = &self.trusted {
            return trusted.clone();
        }
        let kept: Vec<Vec<u8>> = held
            .into_iter()
            .flat_map(|held| &held.ca_certificates)
            .filter_map(|text| base64url::decode_standard(text).ok())
            .collect();
        if !kept.is_empty() {
            return kept;
        }
        let mut met: Vec<Vec<u8>> = credentials
            .iter()
            .filter_map(|held| credentials::chain(&held.credential).ok())
            .map(|chain| chain.last().to_vec())
            .collect();
        met.sort();
        met.dedup();
        met
    }

    fn register(
        &self,
        url: &DomainUrl,
        identity: &Identity,
        held: Option<&Membership>,
        known_key_version: Option<u64>,
    ) -> Result<RegisterResponse, DeviceError> {
        let current_domain = held
            .filter(|held| held.standing == Standing::Member)
            .map(|held| held.domain.to_string());
        let target = url.register();
        self.client.post(url, &target, || {
            RegisterRequest {
                machine_guid: identity.guid,
                iat_ms: iat_ms(None),
                current_domain: current_domain.clone(),
                known_key_version,
            }
            .sign(&target, &identity.key)
            .map_err(|error| cannot_sign(&error))
        })
    }

    fn deregister(
        &self,
        url: &DomainUrl,
        identity: &Identity,
        registered_at: Option<&str>,
        preview: bool,
    ) -> Result<(), DeviceError> {
        let target = url.deregister();
        let answer: DeregisterResponse = self.client.post(url, &target, || {
            DeregisterRequest {
                machine_guid: identity.guid,
                iat_ms: iat_ms(registered_at),
                preview,
            }
            .sign(&target, &identity.key)
            .map_err(|error| cannot_sign(&error))
        })?;
        let expected = answer.domain == *url.domain()
            && answer.machine_guid == identity.guid
            && answer.preview == preview
            && answer.deregistered != preview;
        if expected {
            Ok(())
        } else {
            Err(DeviceError::UnusableAnswer(format!(
                "{target} answered another request than this one."
            )))
        }
    }
}

/// Whether an answer with the versions after `known` continues `held`: the membership and the
/// newest version are as they must be if the domain is still the same. A time alone does not tell: a
/// domain can be deleted and made again within the second.
fn continues(answer: &RegisterResponse, held: &Membership, known: u64) -> bool {
    let newest = answer
        .credentials
        .last()
        .map_or(known, |credential| credential.key_version);
    !answer.new_member
        && held.registered_at.as_ref() == Some(&answer.registered_at)
        && newest == answer.key_version
        && answer
            .credentials
            .first()
            .is_none_or(|credential| credential.key_version == known + 1)
}

/// What `held` has after the last of `credentials`, if both have a key in common: the server then
/// answered as it was before, perhaps from a restored copy, and what these keys open would be lost
/// without them. Otherwise the domain is another one of the same name.
fn later_versions(held: Membership, credentials: &[HeldCredential]) -> Vec<HeldCredential> {
    let version = |held: &HeldCredential| held.credential.key_version;
    let is_same = |held: &HeldCredential| {
        let mut credentials = credentials.iter();
        credentials.any(|one| version(one) == version(held) && one.private_key == held.private_key)
    };
    if !held.credentials.iter().any(is_same) {
        return Vec::new();
    }
    let last = credentials.last().map_or(0, version);
    let later = held.credentials.into_iter();
    later.filter(|held| version(held) > last).collect()
}

fn cannot_sign(error: &SignError) -> DeviceError {
    DeviceError::Local(format!("The request cannot be signed: {error}."))
}

fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Now, or the start of the membership if this device's clock is behind the server's: the server
/// would reject an earlier request as a replay.
fn iat_ms(registered_at: Option<&str>) -> i64 {
    let began = registered_at
        .and_then(|text| text.parse::<DateTime>().ok())
        .map(|began| began.unix_duration())
        .unwrap_or_default();
    i64::try_from(now().max(began).as_millis()).unwrap_or(i64::MAX)
}
