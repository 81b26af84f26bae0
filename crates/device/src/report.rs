//! The command's output: text for people, or one JSON object for programs.

use std::path::Path;

use anonymous_domains_client::Console;
use anonymous_domains_device::{
    Joined, Left, Verification,
    domain_url::DomainUrl,
    membership::{Membership, Standing},
    state_directory::Identity,
};
use serde_json::{Value, json};

/// The outcome of a command.
pub struct Report {
    exit_code: u8,
    text: String,
    /// Lines for standard error, beside a success.
    warnings: Vec<String>,
    json: Value,
}

impl Report {
    /// Prints it, and returns the exit code of the process.
    pub fn print(&self, console: Console) -> u8 {
        for warning in &self.warnings {
            console.note(warning);
        }
        if self.exit_code == 0 {
            // The reader may be gone (`| head`); what the command did stays done.
            let _ = console.say(&self.text, &self.json);
        } else {
            console.fail(&self.text, &self.json);
        }
        self.exit_code
    }

    fn success(text: String, json: Value) -> Self {
        Self {
            exit_code: 0,
            text,
            warnings: Vec::new(),
            json,
        }
    }

    /// A join.
    pub fn of_join(joined: &Joined) -> Self {
        let Joined {
            machine_guid,
            membership,
            ..
        } = joined;
        let verb = match joined.new_member {
            true => "joined",
            false => "already a member of",
        };
        let mut json = membership_json(membership);
        json["ok"] = true.into();
        json["machineGuid"] = json!(machine_guid);
        json["newMember"] = joined.new_member.into();
        json["warnings"] = json!(joined.warnings);
        Self {
            warnings: joined.warnings.clone(),
            ..Self::success(
                format!(
                    "{verb} {} as machine {machine_guid}: key versions {:?}",
                    membership.domain,
                    membership.key_versions()
                ),
                json,
            )
        }
    }

    /// A leave, or its preview.
    pub fn of_leave(url: &DomainUrl, left: Left) -> Self {
        let domain = url.domain();
        let (outcome, text) = match left {
            Left::MayLeave => (
                "may-leave",
                format!("{domain} may be left; nothing was changed"),
            ),
            Left::Left => (
                "left",
                format!("left {domain}: its credentials were deleted from this device"),
            ),
            Left::WasNoMember => (
                "left",
                format!(
                    "left {domain}: the server had already removed this device, and its credentials were deleted"
                ),
            ),
        };
        Self::leaving(url, outcome, left == Left::MayLeave, text)
    }

    /// A leave that only deleted what was stored on the device.
    pub fn of_forget(url: &DomainUrl) -> Self {
        let text = format!(
            "forgot {}: this device was not a member, and its credentials were deleted",
            url.domain()
        );
        Self::leaving(url, "forgotten", false, text)
    }

    fn leaving(url: &DomainUrl, outcome: &str, preview: bool, text: String) -> Self {
        let json = json!({
            "ok": true,
            "domain": url.domain(),
            "url": url.as_str(),
            "preview": preview,
            "outcome": outcome,
        });
        Self::success(text, json)
    }

    /// The device's identity and its domains.
    pub fn of_show(
        directory: &Path,
        identity: Option<&Identity>,
        memberships: &[Membership],
    ) -> Self {
        let mut lines = vec![match identity {
            None => "this device has no identity yet: it gets one at its first join".to_owned(),
            Some(identity) => format!("machine {}", identity.guid),
        }];
        lines.push(format!("directory {}", directory.display()));
        lines.extend(memberships.iter().map(|membership| {
            let Membership { domain, url, .. } = membership;
            match membership.standing {
                Standing::Member => format!(
                    "{domain} at {url}: member since {}, key versions {:?}",
                    membership.registered_at.as_deref().unwrap_or("?"),
                    membership.key_versions()
                ),
                Standing::Leaving => {
                    format!("{domain} at {url}: leaving; run leave again to finish")
                }
            }
        }));
        let public = identity.map(|identity| identity.key.public_key());
        let json = json!({
            "ok": true,
            "directory": directory,
            "machineGuid": identity.map(|identity| identity.guid),
            "keyType": public
                .as_ref()
                .and_then(|key| key.key_type())
                .map(|kind| kind.as_str()),
            "keyThumbprint": public.as_ref().map(|key| key.thumbprint_b64()),
            "domains": memberships.iter().map(membership_json).collect::<Vec<_>>(),
        });
        Self::success(lines.join("\n"), json)
    }

    /// Which credentials verified.
    pub fn of_verify(verifications: &[Verification]) -> Self {
        let mut lines = Vec::new();
        let mut domains = Vec::new();
        for Verification { membership, faults } in verifications {
            let domain = &membership.domain;
            let mut json = membership_json(membership);
            json["verified"] = faults.is_empty().into();
            json["faults"] = json!(faults);
            domains.push(json);
            match (membership.standing, faults.is_empty()) {
                (Standing::Leaving, true) => {
                    lines.push(format!("{domain}: leaving, so nothing to verify"));
                }
                (Standing::Member, true) => lines.push(format!(
                    "{domain}: verified key versions {:?}",
                    membership.key_versions()
                )),
                (_, false) => {
                    lines.extend(faults.iter().map(|fault| format!("{domain}: {fault}")));
                }
            }
        }
        if lines.is_empty() {
            lines.push("this device is in no domain, so there is nothing to verify".to_owned());
        }
        let verified = verifications
            .iter()
            .all(|verification| verification.faults.is_empty());
        Self {
            exit_code: if verified { 0 } else { 5 },
            ..Self::success(
                lines.join("\n"),
                json!({ "ok": verified, "domains": domains }),
            )
        }
    }
}

/// What may be shown of a membership: everything except the private keys.
fn membership_json(membership: &Membership) -> Value {
    let credentials: Vec<_> = membership
        .credentials
        .iter()
        .map(|held| &held.credential)
        .collect();
    json!({
        "domain": membership.domain,
        "url": membership.url,
        "standing": membership.standing,
        "registeredAt": membership.registered_at,
        "keyVersion": membership.newest_version(),
        "keyVersions": membership.key_versions(),
        "credentials": credentials,
        "caCertificates": membership.ca_certificates,
    })
}
